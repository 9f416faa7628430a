// The holder's scripts, run by this machine's shell.

import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { BRIDGE, HOLDER, LEASE_MS, RENEWAL_MS, START, scriptOf } from "../../src/sandbox/holder.ts";
import { endOf, runChild, spawnChild } from "../../src/sandbox/spawn.ts";
import { withFolder } from "../parts/folder.ts";
import { until } from "../parts/until.ts";

const WORDS = ["", "two words", "it's", '"', "$HOME", "`id`", "\\n", "a\nb", "*", "-n", "漢字 🎲"];
const PRINT = 'for word in "$@"; do printf "%s|" "$word"; done';

function sh(script: string, ...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync("/bin/sh", ["-c", script, "sh", ...args], {
    encoding: "utf8",
    env: { PATH: process.env["PATH"] ?? "" },
  });
  return { status, stdout, stderr };
}

test("a lease outlives six renewals", () => {
  expect([BRIDGE, LEASE_MS, RENEWAL_MS]).toEqual(["/matrix", 30_000, 5000]);
});

test("START becomes the command in the folder, with every word unchanged", () => {
  const { status, stdout } = sh(
    START,
    "/",
    "/bin/sh",
    "-c",
    `pwd; ${PRINT}; exit 3`,
    "sh",
    ...WORDS,
  );
  expect([status, stdout]).toEqual([3, `/\n${WORDS.map((word) => `${word}|`).join("")}`]);
});

test("START exits with 126 when the folder is missing, and with 127 when the program is", () => {
  expect(sh(START, "/no/such", "true")).toMatchObject({ status: 126 });
  expect(sh(START, "/", "no-such-program")).toMatchObject({ status: 127 });
});

test("a script sets its variables, enters its folder, and passes every word unchanged", () =>
  withFolder(async (folder) => {
    const odd = join(folder, "it's a folder");
    await mkdir(odd);
    const env = { ONE: "a, b'c", TWO: "$x\n" };
    const print = `pwd; printf "%s|%s|" "$ONE" "$TWO"; ${PRINT}`;
    const script = scriptOf(["/bin/sh", "-c", print, "sh", ...WORDS], odd, env);
    expect(sh(script).stdout).toBe(
      `${odd}\n${[env.ONE, env.TWO, ...WORDS].map((word) => `${word}|`).join("")}`,
    );
  }));

test("a script passes any words and any value unchanged", () => {
  const word = fc
    .string({ unit: "binary" })
    .map((text) => text.toWellFormed().replaceAll("\0", ""));
  fc.assert(
    fc.property(fc.array(word), word, (words, value) => {
      const print = 'printf "%s|" "$VALUE" "$@"';
      const script = scriptOf(["/bin/sh", "-c", print, "sh", ...words], "/", { VALUE: value });
      expect(sh(script).stdout).toBe([value, ...words].map((one) => `${one}|`).join(""));
    }),
    { numRuns: 30 },
  );
});

test("a script has one line for each variable, one for the folder and one for the command", () => {
  expect(scriptOf(["a", "b'c"], "/w", { X: "1", Y: "2" })).toBe(
    "export X='1'\nexport Y='2'\ncd -- '/w' || exit 126\nexec 'a' 'b'\\''c'\n",
  );
});

test("a script exits with 126 when its folder is missing", () => {
  expect(sh(scriptOf(["true"], "/no/such", {})).status).toBe(126);
});

/** A holder that looks at its lease every 10 ms. */
function hold(lease: string, pipes: string) {
  const quick = HOLDER.replace("sleep 5 &", "sleep 0.01 &");
  expect(quick).not.toBe(HOLDER);
  const child = spawnChild("/bin/sh", ["-c", quick, "matrix-holder", lease, pipes], {
    env: { PATH: process.env["PATH"] ?? "" },
  });
  const lines: string[] = [];
  child.stdout.on("data", (chunk: Buffer) => lines.push(...chunk.toString().trimEnd().split("\n")));
  return { child, lines, end: endOf(child) };
}

test("a holder without a lease lives until its stdin closes, and then exits with 0", async () => {
  const { child, lines, end } = hold("-", "-");
  await new Promise<void>((resolve) => child.stdout.once("data", () => resolve()));
  expect(lines).toEqual(["ready"]);
  child.stdin.end();
  expect(await end).toEqual({ code: 0, failure: null });
});

test("a holder whose lease is missing or no longer renewed ends by itself", () =>
  withFolder(async (folder) => {
    const lease = join(folder, "lease");
    await writeFile(lease, "7\n");
    for (const path of [lease, join(folder, "missing")]) {
      const { end } = hold(path, "-");
      expect(await end).toEqual({ code: 0, failure: null });
    }
    expect(HOLDER).toContain("-lt 6 ]");
  }));

test("a holder runs a numbered command over its pipes, and reports its exit code", () =>
  withFolder(async (pipes) => {
    sh(`cd "${pipes}"; mkfifo 4.in 4.out 4.err`);
    await writeFile(join(pipes, "4.sh"), scriptOf(["/bin/sh", "-c", "cat; exit 9"], "/", {}));
    const { child, lines, end } = hold("-", pipes);
    child.stdin.write("run 4\n");
    const relay = await runChild("/bin/sh", [
      "-c",
      `cd "${pipes}"; echo given >4.in & cat <4.err >&2 & cat <4.out; wait`,
    ]);
    expect(relay.stdout).toBe("given\n");
    await until(() => lines.length === 2, "the holder reports the end");
    expect(lines).toEqual(["ready", "exit 4 9"]);
    child.stdin.end();
    await end;
  }));

test("a holder whose reader is killed from inside ends at once, because it can start nothing", async () => {
  const { child, end } = hold("-", "-");
  await new Promise<void>((resolve) => child.stdout.once("data", () => resolve()));
  // The reader is the first child of the holder, and the sleep is the second.
  const script = `kill -KILL $(ps -o pid= --ppid ${child.pid} | head -n 1)`;
  expect(sh(script).status).toBe(0);
  expect(await end).toEqual({ code: 0, failure: null });
});
