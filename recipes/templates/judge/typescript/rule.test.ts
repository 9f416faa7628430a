import { expect, test } from "bun:test";
import { done, type RouteContext, to } from "matrix";
import { faultOf } from "./check.ts";
import rule from "./rule.ts";

const after = (role: string) => ({ role }) as RouteContext;

test("an answer without a fault goes to the judge", () => {
  expect(rule.next(null, { content: "Scattering." }, after("solver"))).toEqual(to("checker", null));
  expect(rule.next(null, { answer: "Scattering.", fault: null }, after("checker"))).toEqual(
    to("judge", { answer: "Scattering." }),
  );
});

test("an answer with a fault costs no judge", () => {
  expect(rule.next(null, { answer: "", fault: "it is empty" }, after("checker"))).toEqual(
    done({ reason: "filtered", outcome: { fault: "it is empty" } }),
  );
});

test("points from 1 to 10 become a score from 0 to 1", () => {
  const grade = (points: number) => ({ parsed: { points, reason: "" } });
  expect(rule.next({ answer: "" }, grade(1), after("judge"))).toMatchObject({ score: 0 });
  expect(rule.next({ answer: "" }, grade(10), after("judge"))).toMatchObject({ score: 1 });
});

test("empty and long answers have a fault", () => {
  expect(faultOf(" ", 2)).toBe("it is empty");
  expect(faultOf("one two", 2)).toBeNull();
  expect(faultOf("one two three", 2)).toBe("it has 3 words");
});
