import { expect, test } from "bun:test";
import { join } from "node:path";
import { matrix } from "../../parts/binary.ts";
import { withFolder } from "../../parts/folder.ts";
import { comparable, readRecords } from "../../parts/records.ts";
import { CORAL, ROOT } from "../../parts/repository.ts";

for (const kind of ["graph", "python"] as const)
  test(`Coral's ${kind} makes the records of the dialogue pattern, on one and on two hosts`, () =>
    withFolder(async (folder) => {
      const fast = [
        'models.speaker.latency="1ms"',
        "models.speaker.tokens_per_second=1000000",
        "-q",
      ];
      const rule = join(ROOT, `recipes/coral-${kind}.toml`);
      for (const [name, recipe, more] of [
        ["pattern", CORAL, []],
        ["alone", rule, []],
        ["hosts", rule, ["--workers", "2"]],
      ] as const) {
        const { code, stderr } = await matrix(["drive", recipe, "-o", name, ...fast, ...more], {
          cwd: folder,
        });
        expect({ name, code, stderr }).toEqual({ name, code: 0, stderr: "" });
      }
      const pattern = comparable(await readRecords(join(folder, "pattern")));
      expect(comparable(await readRecords(join(folder, "alone")))).toEqual(pattern);
      expect(comparable(await readRecords(join(folder, "hosts")))).toEqual(pattern);
    }));
