// The same source under Deno makes the records that the compiled binary makes.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { matrix } from "../parts/binary.ts";
import { findDeno } from "../parts/deno.ts";
import { withFolder } from "../parts/folder.ts";
import { comparable, readRecords } from "../parts/records.ts";
import { CORAL, ROOT } from "../parts/repository.ts";

test("Deno makes the records that Bun makes", () =>
  withFolder(async (folder) => {
    const deno = findDeno();
    if (deno === null) return;
    const args = ["--trials", "2", 'models.speaker.latency="5ms"', "-q"];
    const env = { ...process.env, DENO_DIR: join(folder, "cache"), DENO_NO_UPDATE_CHECK: "1" };
    const child = Bun.spawnSync(
      [
        deno,
        "run",
        "-A",
        join(ROOT, "src/main.ts"),
        "drive",
        CORAL,
        "-o",
        join(folder, "deno"),
        ...args,
      ],
      {
        env,
      },
    );
    expect(child.stderr.toString()).toBe("");
    expect(child.stdout.toString()).toContain("expected 80 = ok 80 + failed 0 + lost 0");
    expect(child.exitCode).toBe(0);
    await matrix(["drive", CORAL, "-o", "bun", ...args], { cwd: folder });
    const [bun, other] = [
      await readRecords(join(folder, "bun")),
      await readRecords(join(folder, "deno")),
    ];
    expect(comparable(other)).toEqual(comparable(bun));
    expect((await matrix(["verify", "deno"], { cwd: folder })).code).toBe(0);
  }));
