// Mutants of a small file: which ones there are, what they are called, and that a switch turns one
// on.

import { describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { applyMutant, instrument, type Mutant } from "../../../scripts/mutation/instrument.ts";
import { mutateNumber } from "../../../scripts/mutation/operators.ts";
import { diffLines } from "../../../scripts/mutation/report.ts";

const SOURCE = `export class Limit {
  #strikes = 3;
  allows(count: number): boolean {
    if (count > this.#strikes) throw new Error(\`more than \${this.#strikes + 1}\`);
    return count === 0 || count < 1000;
  }
  reset(): void {
    this.#strikes = 0;
  }
}
const pick = (first: boolean) => (first ? "a" : "b");
`;

const shown = ({ operator, inside, original, replacement }: Mutant) =>
  `${operator} in ${inside}: ${original.replace(/\s+/g, " ")} → ${replacement}`;

describe("the mutants of a file", () => {
  test("the mutants of a file include Stryker's and those for numbers, statements and ternaries", async () => {
    const { mutants } = await instrument("src/limit.ts", SOURCE);
    const all = mutants.map(shown);
    expect(all).toContain(
      "EqualityOperator in Limit.allows: count > this.#strikes → count >= this.#strikes",
    );
    expect(all).toContain("NumericLiteral in Limit.strikes: 3 → 4");
    expect(all).toContain("NumericLiteral in Limit.allows: 1000 → 1024");
    expect(all).toContain("StatementRemoval in Limit.reset: this.#strikes = 0; → ;");
    expect(all).toContain("TernaryCondition in pick: first → true");
  });

  test("no mutant changes the text of an error or a string", async () => {
    const { mutants } = await instrument("src/limit.ts", SOURCE);
    expect(mutants.filter(({ operator }) => operator === "StringLiteral")).toEqual([]);
    const offsets = [SOURCE.indexOf("new Error"), SOURCE.indexOf("`);")];
    const inError = ({ at }: Mutant) => at[0] >= (offsets[0] ?? 0) && at[1] <= (offsets[1] ?? 0);
    expect(mutants.filter(inError)).toEqual([]);
  });

  test("a mutant keeps its identity when another part of the file is edited", async () => {
    const before = await instrument("src/limit.ts", SOURCE);
    const after = await instrument("src/limit.ts", `// A line above.\n${SOURCE}const x = [1];\n`);
    const ids = new Set(after.mutants.map(({ id }) => id));
    expect(before.mutants.filter(({ id }) => !ids.has(id))).toEqual([]);
    expect(new Set(before.mutants.map(({ id }) => id)).size).toBe(before.mutants.length);
  });

  test("a mutant is shown as the line before and the line after", async () => {
    const { mutants } = await instrument("src/limit.ts", SOURCE);
    const mutant = find(mutants, ({ replacement }) => replacement === "1024");
    expect(diffLines(SOURCE, mutant)).toEqual([
      "- return count === 0 || count < 1000;",
      "+ return count === 0 || count < 1024;",
    ]);
    expect(applyMutant(SOURCE, mutant)).toContain("count < 1024;");
  });

  test("a mutated text behaves as the original until a mutant is switched on", async () => {
    const { mutants, switchText } = await instrument("src/limit.ts", SOURCE);
    const mutant = find(mutants, ({ replacement }) => replacement === "count >= this.#strikes");
    const folder = await mkdtemp(join(tmpdir(), "matrix-test-"));
    try {
      const path = join(folder, "limit.ts");
      await writeFile(
        path,
        `${switchText(new Set([mutant.id]))}\nconsole.log(new Limit().allows(3));\n`,
      );
      expect(await printed(path, {})).toBe("true\n");
      expect(await printed(path, { __STRYKER_ACTIVE_MUTANT__: mutant.id })).toBe("");
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

test("a number becomes its neighbour or the unit that it is taken for, and a large one stays", () => {
  expect([0, 1, 2, 0.9, 1024, 3600, 5000].map(mutateNumber)).toEqual([
    1,
    0,
    3,
    expect.closeTo(0.1),
    1000,
    60,
    null,
  ]);
});

test("a number that tunes is not a mutant, and the same number in a formula or a table is one", async () => {
  const { mutants } = await instrument(
    "src/tuning.ts",
    `const TIMEOUT_MS = 60_000;
const BYTES_MAX = 4 * 1024 * 1024;
const RETRIES = 3;
const UNITS = { s: 1000 };
const seconds = (ms: number) => ms / 1000;
`,
  );
  const numbers = mutants.filter(({ operator }) => operator === "NumericLiteral");
  expect(numbers.map(({ original, inside }) => `${inside}: ${original}`)).toEqual([
    "RETRIES: 3",
    "UNITS: 1000",
    "seconds: 1000",
  ]);
});

function find(mutants: readonly Mutant[], holds: (mutant: Mutant) => boolean): Mutant {
  const mutant = mutants.find(holds);
  if (!mutant) throw new Error("there is no such mutant");
  return mutant;
}

async function printed(path: string, env: Readonly<Record<string, string>>): Promise<string> {
  const child = Bun.spawn([process.execPath, path], {
    env: { ...process.env, ...env },
    stdout: "pipe",
    stderr: "ignore",
  });
  return new Response(child.stdout).text();
}

test("every mutant has its own mark, also in a file with mutants that are left out", async () => {
  const source = `export const shout = (text: string) => text + "!";\nexport const two = () => 2;\n`;
  const { mutants, marks, coverageText } = await instrument("src/two.ts", source);
  expect(marks).toBeGreaterThan(mutants.length);
  for (const { ordinal } of mutants) {
    expect(ordinal).toBeLessThan(marks);
    expect(coverageText(100, 200)).toContain(`stryC[${100 + ordinal}]=`);
  }
});
