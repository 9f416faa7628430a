// `matrix ls` lists the runs below folders.

import { expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";
import { DIALOGUE, said, writeRun } from "../parts/run-directory.ts";

async function writeRuns(folder: string): Promise<void> {
  const history = [["student", said("x")]] as const;
  await writeRun(join(folder, "runs/done"), DIALOGUE, [
    { id: "a", score: 1, history },
    { id: "b", score: 0, history },
    { id: "c", status: "failed", history },
  ]);
  await writeRun(join(folder, "runs/deep/killed"), DIALOGUE, [{ id: "a", history }]);
  await changeManifest(join(folder, "runs/deep/killed"), { state: "running", expected: 4 });
  await writeRun(join(folder, "runs/over"), DIALOGUE, [{ id: "a", history }]);
  const stopped = { why: "budget", message: "10 requests are used up" };
  await changeManifest(join(folder, "runs/over"), { state: "stopped", stopped });
  await writeRun(join(folder, "runs/torn"), DIALOGUE, [{ id: "a", history }]);
  await writeFile(join(folder, "runs/torn/manifest.json"), "{");
}

async function changeManifest(run: string, changes: object): Promise<void> {
  const path = join(run, "manifest.json");
  const manifest = JSON.parse(await readFile(path, "utf8"));
  await writeFile(path, JSON.stringify({ ...manifest, ...changes }));
}

test("ls lists each run with its state, progress, failures and mean score", () =>
  withFolder(async (folder) => {
    await writeRuns(folder);
    const { stdout, code } = await matrix(["ls"], { cwd: folder });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^run +recipe +state +records +failed +score +cost +model +age$/m);
    expect(stdout).toMatch(
      /^runs\/done +talk +complete +3 +1 +0\.500 +– +m \(simulated\) +\d+ d$/m,
    );
    expect(stdout).toMatch(/^runs\/deep\/killed +talk +interrupted +1 of 4 \(25 %\) +0 +–/m);
    expect(stdout).toMatch(/^runs\/over +talk +stopped, budget: 10 requests are used up +1 /m);
    expect(stdout).toMatch(/^runs\/torn +torn +broken, /m);
  }));

test("ls --json prints one object a line, and a folder without runs prints none", () =>
  withFolder(async (folder) => {
    await writeRuns(folder);
    const { stdout } = await matrix(["ls", "runs", "--json"], { cwd: folder });
    const runs = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(runs.map(({ path }) => path).sort()).toEqual([
      "runs/deep/killed",
      "runs/done",
      "runs/over",
      "runs/torn",
    ]);
    expect(runs.find(({ path }) => path === "runs/done")).toMatchObject({
      ...{ name: "talk", state: "complete", problem: null, expected: 3, ok: 2, failed: 1, lost: 0 },
      score: { mean: 0.5, count: 2 },
      ...{ cost: null, tokens: 45, models: ["m"], orchestrator: "dialogue", simulated: true },
      started_at: "2026-11-24T00:00:00.000Z",
    });
    await writeFile(join(folder, "note"), "");
    expect((await matrix(["ls", "src", "--json"], { cwd: folder })).stderr).toContain("no file");
    const none = await matrix(["ls", "runs/done/logs"], { cwd: folder });
    expect(none.code).toBe(2);
  }));
