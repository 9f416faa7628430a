import { expect, test } from "bun:test";
import { done, type RouteContext, to } from "matrix";
import { missingIn } from "./check.ts";
import makeRule from "./rule.ts";

const rule = makeRule({ tries: 2 });
const after = (role: string) => ({ role }) as RouteContext;
const fields = { seller: "Lenz", total: "5 EUR" };

test("the reader's fields are checked", () => {
  expect(rule.next({ tries: 0, missing: [] }, null, after("reader"))).toEqual(
    to("checker", { tries: 1, missing: [] }),
  );
});

test("the reader tries again while a value is missing and a try is left", () => {
  const checked = { fields, missing: ["seller"] };
  expect(rule.next({ tries: 1, missing: [] }, checked, after("checker"))).toEqual(
    to("reader", { tries: 1, missing: ["seller"] }),
  );
  expect(rule.next({ tries: 2, missing: [] }, checked, after("checker"))).toEqual(
    done({ score: 0.5, outcome: { fields, tries: 2 } }),
  );
});

test("fields that are all in the text end the task at once", () => {
  expect(rule.next({ tries: 1, missing: [] }, { fields, missing: [] }, after("checker"))).toEqual(
    done({ score: 1, outcome: { fields, tries: 1 } }),
  );
});

test("a value that is written in another way is missing", () => {
  expect(missingIn(fields, "Lenz asks for 5.00 EUR.")).toEqual(["total"]);
});
