// A compressed output whose driver is killed.

import { expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { readFile, truncate } from "node:fs/promises";
import { join } from "node:path";
import { verifyRun } from "../../../src/records/verify.ts";
import { spawnMatrix } from "../../parts/binary.ts";
import { withFolder } from "../../parts/folder.ts";
import { matrix } from "../../parts/program.ts";
import {
  comparable,
  comparableAfterKill,
  readRecords as plainRecords,
} from "../../parts/records.ts";
import { CORAL } from "../../parts/repository.ts";
import { until } from "../../parts/until.ts";

const FILE = "trajectories.jsonl.zst";

test("a compressed output of a killed run goes on and ends with what an undisturbed run writes", () =>
  withFolder(async (folder) => {
    const args = [
      "drive",
      CORAL,
      "--trials",
      "20",
      "-n",
      "40",
      "-q",
      'models.speaker.latency="2ms"',
    ];
    const output = join(folder, "run", FILE);
    for (const size of [20_000, 60_000]) {
      const { child, finished } = spawnMatrix([
        ...args,
        "-o",
        join(folder, "run"),
        "run.compress=true",
      ]);
      await until(() => existsSync(output) && statSync(output).size > size, "records are written");
      child.kill("SIGKILL");
      await finished;
      expect(statSync(output).size).toBeGreaterThan(size);
    }
    // The last frame is torn too.
    await truncate(output, statSync(output).size - 7);
    const torn = await matrix(["verify", "run"], { cwd: folder });
    expect(torn.code).toBe(1);
    expect(torn.stdout).toContain("the last line is torn; a continued run cuts it");
    expect((await matrix(["show", "run"], { cwd: folder })).stdout).toContain("row ");

    const rest = await matrix([...args, "-o", join(folder, "run"), "run.compress=true"]);
    expect(rest.stdout).toContain("expected 800 = ok 800 + failed 0 + lost 0");
    expect(rest.stdout).toContain(`records: ${output}`);
    expect((await verifyRun(join(folder, "run"))).findings).toEqual([]);
    expect((await matrix(["verify", "run"], { cwd: folder })).code).toBe(0);

    await matrix([...args, "-o", join(folder, "plain")]);
    const text = Bun.zstdDecompressSync(await readFile(output)).toString();
    const records = text
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line));
    expect(comparableAfterKill(records)).toEqual(
      comparable(await plainRecords(join(folder, "plain"))),
    );
    expect(statSync(output).size * 3).toBeLessThan(
      statSync(join(folder, "plain/trajectories.jsonl")).size,
    );

    const { stdout } = await matrix(["export", "run", "--to", "trl-sft", "-o", "out.jsonl"], {
      cwd: folder,
    });
    expect(stdout).toContain("train 800");
    // A compressed run stays compressed, because a second file would hold only half of the run.
    expect((await matrix([...args, "-o", join(folder, "run")])).stderr).toContain(
      "run.compress was true and is unset now",
    );
  }));
