// A run of one process whose step never yields.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { matrix, spawnMatrix } from "../../parts/binary.ts";
import { withFolder } from "../../parts/folder.ts";
import { readRecords } from "../../parts/records.ts";
import { until } from "../../parts/until.ts";

/** Loops for ever at row 1 while there is a file `loop`. */
const LOOP = `
import { existsSync, writeFileSync } from "node:fs";
export default (task) => {
  if (task.row.q === 1 && existsSync("loop")) {
    writeFileSync("started", "");
    for (;;);
  }
  return task.row.q;
};
`;

test(
  "an endless loop is named on the terminal, Ctrl-C ends the run, and the next run goes on",
  () =>
    withFolder(async (folder) => {
      const at = (name: string) => join(folder, name);
      await writeFile(at("loop.ts"), LOOP);
      await writeFile(at("d.jsonl"), '{"q":0}\n{"q":1}\n{"q":2}\n');
      await writeFile(
        at("r.toml"),
        'name = "r"\ndataset.path = "d.jsonl"\nroles.solver.agent = "loop.ts"\norchestrator = { pattern = "sequence", roles = ["solver"] }\n',
      );
      await writeFile(at("loop"), "");
      const { child, finished } = spawnMatrix(["drive", "r.toml", "-o", "run"], { cwd: folder });
      let exited = false;
      void child.exited.then(() => (exited = true));
      await until(() => existsSync(at("started")), "the loop has begun");
      await until(() => {
        // An impatient user, whose first signals the blocked program cannot hear.
        if (!exited) child.kill("SIGINT");
        return exited;
      }, "the run ends");
      const { stderr } = await finished;
      expect(child.signalCode).toBe("SIGINT");
      expect(stderr).toContain(
        "warning: role solver, row 1, trial 0: user code has not yielded for 1",
      );
      expect(stderr).toContain("Ctrl-C ends it now");
      await rm(at("loop"));
      expect((await matrix(["drive", "r.toml", "-o", "run"], { cwd: folder })).code).toBe(0);
      expect((await matrix(["verify", "run"], { cwd: folder })).code).toBe(0);
      expect((await readRecords(at("run"))).length).toBe(3);
    }),
  60_000,
);
