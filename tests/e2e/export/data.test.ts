// matrix_data reads what the binary wrote, with the packages of its users.

import { expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { readRecords } from "../../../src/records/read-records.ts";
import { spawnMatrix } from "../../parts/binary.ts";
import { withFolder } from "../../parts/folder.ts";
import { ROOT } from "../../parts/repository.ts";
import { runPython } from "./python.ts";

for (const compress of [false, true])
  test(`matrix_data gives the records of a run with run.compress = ${compress}, and a table`, () =>
    withFolder(async (folder) => {
      const run = join(folder, "run");
      const values = [
        `run.compress=${compress}`,
        'models.speaker.latency="1ms"',
        "models.speaker.tokens_per_second=1e9",
      ];
      const recipe = join(ROOT, "recipes/coral.toml");
      const { code } = await spawnMatrix([
        ...["drive", recipe, "-o", run, "--trials", "3", "--quiet"],
        ...values,
      ]).finished;
      expect(code).toBe(0);
      const records = (await Array.fromAsync(readRecords(run))).flat();
      const scores = records.flatMap(({ score }) => score ?? []);
      const agreed = records.filter(({ stop_reason }) => stop_reason === "agreed").length;
      const expected = {
        count: [120, 120, 120],
        found: true,
        columns: ["id", "score", "hops", "row.correct"],
        mean: expect.closeTo(scores.reduce((sum, score) => sum + score, 0) / scores.length, 9),
        agreed,
        some: ["id", "row.correct"],
        conversations: 120,
      };
      const first = await runPython(folder, "data.py", [ROOT, run]);
      if (first === null) return;
      expect(first).toEqual(expected);
      await rm(join(run, "index"), { recursive: true });
      expect(await runPython(folder, "data.py", [ROOT, run])).toEqual(expected);
    }));
