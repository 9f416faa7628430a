import { expect, test } from "bun:test";
import { join } from "node:path";
import { matrix } from "../../parts/binary.ts";
import { withFolder } from "../../parts/folder.ts";
import { comparable, readRecords } from "../../parts/records.ts";
import { CORAL, ROOT } from "../../parts/repository.ts";

test("Coral's graph makes the records of the dialogue pattern, on one and on two hosts", () =>
  withFolder(async (folder) => {
    const fast = ['models.speaker.latency="1ms"', "models.speaker.tokens_per_second=1000000", "-q"];
    const graph = join(ROOT, "recipes/coral-graph.toml");
    for (const [name, recipe, more] of [
      ["pattern", CORAL, []],
      ["graph", graph, []],
      ["hosts", graph, ["--workers", "2"]],
    ] as const) {
      const { code, stderr } = await matrix(["drive", recipe, "-o", name, ...fast, ...more], {
        cwd: folder,
      });
      expect({ name, code, stderr }).toEqual({ name, code: 0, stderr: "" });
    }
    const pattern = comparable(await readRecords(join(folder, "pattern")));
    expect(comparable(await readRecords(join(folder, "graph")))).toEqual(pattern);
    expect(comparable(await readRecords(join(folder, "hosts")))).toEqual(pattern);
  }));
