// Texts for people are left out, and what only looks like one is not.

import { expect, test } from "bun:test";
import { instrument } from "../../../scripts/mutation/instrument.ts";

async function originals(source: string): Promise<string[]> {
  const { mutants } = await instrument("src/text.ts", source);
  return mutants.map(({ original }) => original);
}

test("no mutant is made in an error, a hint, or a line for the log or the terminal", async () => {
  const texts = [
    "throw new MatrixError(`after ${1 + 2} tries`, { hint: a ? b : c });",
    "console.error(1 + 2);",
    "log.write('info', `${1 + 2} rows`);",
    "class Run { #log; note() { this.#log.write('info', `${1 + 2} rows`); } }",
    "const problem = { message: `${1 + 2} rows` };",
    "const option = { help: 1 + 2 };",
  ];
  for (const text of texts) expect(await originals(text)).not.toContain("1 + 2");
});

test("mutants are made in a message that is a task, and in other calls of write", async () => {
  expect(await originals("send({ message: attempt(1 + 2) });")).toContain("1 + 2");
  expect(await originals("file.write(1 + 2);")).toContain("1 + 2");
});
