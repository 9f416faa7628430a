// A lock that many processes want at once.

import { expect, test } from "bun:test";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { takeLock } from "../../../src/records/lock.ts";
import { withFolder } from "../../parts/folder.ts";
import { ROOT } from "../../parts/repository.ts";

test("of many processes that take over a dead lock at once, exactly one gets it", () =>
  withFolder(async (folder) => {
    const dead = {
      host: hostname(),
      machine: "",
      pid: 2 ** 22 + 1,
      startTime: "1",
      since: "2026-01-01T00:00:00.000Z",
    };
    const script = join(folder, "take.ts");
    await writeFile(
      script,
      `import { takeLock } from ${JSON.stringify(join(ROOT, "src/records/lock.ts"))};
       process.stdin.once("data", async () => {
         const got = await takeLock(process.argv[2]).then(() => "taken", (error) => error.code);
         process.stdout.write(got);
         process.stdin.once("data", () => process.exit(0));
       });
       process.stdout.write("ready ");`,
    );
    for (let round = 0; round < 8; round++) {
      const directory = join(folder, String(round));
      await mkdir(directory);
      // The id of this machine is the lock's own affair: it is read off a lock of ours.
      await takeLock(directory);
      const { machine } = JSON.parse(await readFile(join(directory, "lock.1"), "utf8"));
      await writeFile(join(directory, "lock.1"), JSON.stringify({ ...dead, machine }));
      const starters = Array.from({ length: 6 }, () =>
        Bun.spawn([process.execPath, script, directory], {
          stdin: "pipe",
          stdout: "pipe",
          stderr: "inherit",
        }),
      );
      const readers = starters.map(({ stdout }) => stdout.getReader());
      const next = async (reader: (typeof readers)[number]) =>
        new TextDecoder().decode((await reader.read()).value);
      await Promise.all(readers.map(next));
      for (const { stdin } of starters) {
        stdin.write("go");
        stdin.flush();
      }
      const answers = await Promise.all(readers.map(next));
      for (const starter of starters) {
        starter.stdin.write("end");
        starter.stdin.end();
        await starter.exited;
      }
      expect(answers.filter((answer) => answer === "taken")).toHaveLength(1);
      expect(answers.filter((answer) => answer === "run_busy")).toHaveLength(5);
    }
  }));
