// The first line of a command's stdout, which tells it from the engine's own text.

import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { ANNOUNCED, FirstLine } from "../../../src/sandbox/docker/first-line.ts";
import { START } from "../../../src/sandbox/holder.ts";

const MARK = "0b6e9cf2-0000-4000-8000-000000000000";

/** Passes bytes through in pieces of these sizes. */
async function pass(bytes: Buffer, sizes: readonly number[] = [bytes.length || 1]) {
  const line = new FirstLine(MARK);
  const parts: Buffer[] = [];
  line.on("data", (part: Buffer) => parts.push(part));
  for (let at = 0, n = 0; at < bytes.length; n++) {
    const size = sizes[n % sizes.length] ?? 1;
    line.write(bytes.subarray(at, at + size));
    at += size;
  }
  const end = new Promise((resolve) => line.on("end", resolve));
  line.end();
  await end;
  return { begun: line.begun, reason: line.reason, out: Buffer.concat(parts) };
}

test("what follows the first line passes unchanged, whatever pieces it comes in", () =>
  fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 100 }),
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
      async (body, sizes) => {
        const passed = await pass(Buffer.concat([Buffer.from(`${MARK}\n`), body]), sizes);
        expect(passed).toEqual({ begun: true, reason: "", out: Buffer.from(body) });
      },
    ),
    { numRuns: 100 },
  ));

test.each([
  ["", ""],
  ["OCI runtime exec failed: broken\r\n", "OCI runtime exec failed: broken"],
  // A command whose shell died while it printed the line did not begin.
  [MARK, MARK],
  [`${MARK.slice(0, -1)}1\n`, `${MARK.slice(0, -1)}1`],
  ["x".repeat(2000), "x".repeat(2000)],
  ["x".repeat(2001), "x".repeat(2000)],
])("another beginning, %.30j, passes nothing and is the reason", async (text, reason) => {
  for (const sizes of [[1], [7], [5000]])
    expect(await pass(Buffer.from(text), sizes)).toEqual({
      begun: false,
      reason,
      out: Buffer.alloc(0),
    });
});

test("the wrapper prints the mark first and then becomes the command", () => {
  const run = (...args: readonly string[]) => {
    const env = { PATH: process.env["PATH"] ?? "" };
    const sh = ["-c", ANNOUNCED, "sh", MARK, ...args];
    const { status, stdout } = spawnSync("/bin/sh", sh, { encoding: "utf8", env });
    return [status, stdout];
  };
  expect(ANNOUNCED).toEndWith(START);
  expect(run("/", "/bin/sh", "-c", 'pwd; echo "$1"; exit 3', "sh", "a b")).toEqual([
    3,
    `${MARK}\n/\na b\n`,
  ]);
  expect(run("/no/such", "true")).toEqual([126, `${MARK}\n`]);
  expect(run("/", "no-such-program")).toEqual([127, `${MARK}\n`]);
});
