// What user code prints with `console` while it is captured.

import { expect, test } from "bun:test";
import { captureConsole } from "../../src/host/console.ts";
import { runOwned } from "../../src/host/stray-error.ts";
import { createStreamedLog } from "../../src/telemetry/streamed-log.ts";
import { keptLog } from "../parts/kept-log.ts";
import { SECRET, withSecret } from "../parts/secret.ts";

test("what user code prints is in the log with its role and task, also after an await", async () => {
  const log = createStreamedLog({ show: () => undefined });
  const restore = captureConsole(log);
  const owner = (task: string) => ({ role: "teacher", task, fail: () => undefined });
  await Promise.all(
    ["0:a", "0:b"].map((task) =>
      runOwned(owner(task), async () => {
        console.log("begins %s", task, { n: 1 });
        await new Promise((resolve) => setImmediate(resolve));
        console.warn("ends", task);
      }),
    ),
  );
  console.info("outside");
  restore();
  expect(log.take(10).map(({ level, message, fields }) => [level, message, fields])).toEqual([
    ["info", "begins 0:a { n: 1 }", { role: "teacher", task: "0:a" }],
    ["info", "begins 0:b { n: 1 }", { role: "teacher", task: "0:b" }],
    ["warning", "ends 0:a", { role: "teacher", task: "0:a" }],
    ["warning", "ends 0:b", { role: "teacher", task: "0:b" }],
    ["info", "outside", {}],
  ]);
});

test("each method of console has its level in the log, and prints again once it is restored", () => {
  const before = { ...console };
  const { log, lines } = keptLog();
  const restore = captureConsole(log);
  console.debug("a debug line");
  console.log("a line");
  console.info("an info line");
  console.warn("a warning");
  console.error("an error");
  restore();
  expect(lines).toEqual([
    "info a debug line {}",
    "info a line {}",
    "info an info line {}",
    "warning a warning {}",
    "error an error {}",
  ]);
  for (const method of ["debug", "log", "info", "warn", "error"] as const)
    expect(console[method]).toBe(before[method]);
});

test("a known secret that code writes to a stream itself is masked, and other bytes stay as they are", () =>
  withSecret(() => {
    const written: (string | Uint8Array)[] = [];
    const originals = [process.stdout.write, process.stderr.write] as const;
    const take = ((chunk: string | Uint8Array) => written.push(chunk) > 0) as (typeof originals)[0];
    process.stdout.write = take;
    process.stderr.write = take;
    try {
      const restore = captureConsole(keptLog().log);
      const bytes = new Uint8Array([0xff, 0x41]);
      process.stdout.write(`a ${SECRET}\n`);
      process.stderr.write(new TextEncoder().encode(SECRET));
      process.stderr.write(bytes);
      restore();
      process.stderr.write(SECRET);
      expect(written).toEqual(["a [KNOWN]\n", "[KNOWN]", bytes, SECRET]);
      expect([process.stdout.write, process.stderr.write]).toEqual([take, take]);
    } finally {
      [process.stdout.write, process.stderr.write] = originals;
    }
  }));
