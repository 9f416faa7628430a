import { expect, test } from "bun:test";
import { groundTruthOf, promptOf } from "../../src/export/prompts.ts";
import { compileExpression } from "../../src/recipe/expression/expression.ts";
import type { JsonObject } from "../../src/task/json.ts";
import { assistant, formatOptions, recordOf, system, user } from "./made.ts";

test("a prompt is the turns before the first answer", () => {
  const turns = [system("s"), user("q"), assistant("a"), user("r"), assistant("b")];
  expect(promptOf({ turns, tools: [] })).toEqual([system("s"), user("q")]);
  expect(promptOf({ turns: [assistant("a")], tools: [] })).toEqual([]);
  expect(promptOf({ turns: [user("q")], tools: [] })).toEqual([user("q")]);
});

test.each<[row: JsonObject, truth: string | null]>([
  [{ answer: "4" }, "4"],
  [{ answer: "4", ground_truth: "5" }, "5"],
  [{ target: "1", label: "2", solution: "3", answer: null }, "3"],
  [{ target: "1", label: 2 }, "2"],
  [{ answer: 12345678901234567890n }, "12345678901234567890"],
  [{ answer: ["a", "b"] }, '["a","b"]'],
  [{ question: "q" }, null],
])("the right answer of the row %o is found", (row, truth) => {
  expect(groundTruthOf(recordOf({ row }), formatOptions())).toBe(truth);
});

test("an expression finds the right answer of a record anywhere", () => {
  const options = formatOptions({ groundTruth: compileExpression("outcome.key") });
  const record = recordOf({ row: { answer: "no" }, outcome: { key: "yes" } });
  expect(groundTruthOf(record, options)).toBe("yes");
});

test("an expression that fails for a record is a mistake of the user, which names the record", () => {
  const options = formatOptions({ groundTruth: compileExpression("row.gone") });
  expect(() => groundTruthOf(recordOf({ id: "7", trial: 2 }), options)).toThrow(
    expect.objectContaining({
      code: "usage",
      message: expect.stringContaining("--ground-truth cannot be evaluated for row 7, trial 2: "),
    }),
  );
});
