// What `process.exit` does in user code.

import { expect, test } from "bun:test";
import { catchExits } from "../../src/host/exit-trap.ts";
import { runOwned } from "../../src/host/stray-error.ts";

const TEXT = "which would end the whole program: return a result or throw an error instead";

test("process.exit in user code throws, fails the step that called it, and works again afterwards", () => {
  const { exit } = process;
  const release = catchExits();
  try {
    const failed: unknown[] = [];
    const owner = { role: "a", task: "0:x", fail: (thrown: unknown) => void failed.push(thrown) };
    const call = (): unknown =>
      runOwned(owner, () => {
        const nothing = process.exit(0);
        return [nothing];
      });
    expect(call).toThrow(`user code called process.exit(0), ${TEXT}`);
    expect(failed).toHaveLength(1);
    const [error] = failed as [Error];
    expect(error.stack?.split("\n")[1]).toContain(import.meta.path);
    expect(error).toMatchObject({ message: `user code called process.exit(0), ${TEXT}` });
    expect(() => process.exit()).toThrow(`user code called process.exit(), ${TEXT}`);
    expect(failed).toHaveLength(1);
  } finally {
    release();
  }
  expect(process.exit).toBe(exit);
});
