// Which steps of a replay ask, and what the others had cost.

import { expect, test } from "bun:test";
import {
  askedRoles,
  asksAny,
  isAnew,
  isAsked,
  type ReplayWish,
  reusedIn,
} from "../../src/agent/replay-wish.ts";
import type { Hop } from "../../src/task/task.ts";
import { hopOf, taskOf } from "../parts/task.ts";

const wishOf = (more: Partial<ReplayWish> = {}): ReplayWish => ({
  ...{ roles: ["a", "b"], ask: [], from: null, salt: 0 },
  ...more,
});
const at = (...roles: string[]) => taskOf({ history: roles.map((role) => hopOf(role, null)) });

test("a replay asks a model only where a role, a hop or a beginning is named", () => {
  expect(asksAny(wishOf())).toBe(false);
  expect(asksAny(wishOf({ ask: ["a"] }))).toBe(true);
  expect(asksAny(wishOf({ from: 0 }))).toBe(true);
  expect(asksAny(wishOf({ from: "a" }))).toBe(true);
  expect(isAsked(wishOf(), "a", at("a"))).toBe(false);
});

test("the roles that may ask are those that are named, and all of them from some step on", () => {
  expect(askedRoles(wishOf())).toEqual([]);
  expect(askedRoles(wishOf({ ask: ["b"] }))).toEqual(["b"]);
  expect(askedRoles(wishOf({ ask: ["b"], from: 3 }))).toEqual(["a", "b"]);
  expect(askedRoles(wishOf({ from: "x" }))).toEqual(["a", "b"]);
});

test("a role that is named is asked in every step, and makes none of them anew", () => {
  const wish = wishOf({ ask: ["b"] });
  expect([isAsked(wish, "a", at("b")), isAsked(wish, "b", at())]).toEqual([false, true]);
  expect(isAnew(wish, "b", at("b"))).toBe(false);
});

test("from a hop on, the steps at its number and after it are made anew", () => {
  const wish = wishOf({ from: 2 });
  const steps = [at(), at("x"), at("x", "a"), at("x", "a", "b")];
  expect(steps.map((task) => isAnew(wish, "a", task))).toEqual([false, false, true, true]);
  expect(isAnew(wishOf({ from: 0 }), "a", at())).toBe(true);
});

test("from a role on, its first step and every later one is made anew", () => {
  const wish = wishOf({ from: "b" });
  expect(isAnew(wish, "a", at("a"))).toBe(false);
  expect(isAnew(wish, "b", at("a"))).toBe(true);
  expect(isAnew(wish, "a", at("a", "b"))).toBe(true);
  expect(isAnew(wishOf({ from: "x" }), "a", at("x"))).toBe(true);
});

const hop = (role: string, requests: number, more: Partial<Hop> = {}) =>
  hopOf(role, null, {
    usage: { requests, prompt_tokens: 10 * requests, completion_tokens: requests },
    cost: requests / 10,
    ...more,
  });
const requestsReused = (wish: Partial<ReplayWish>, history: readonly Hop[]) =>
  reusedIn(wishOf(wish), history).requests;

test("the reused part of a record is what llm roles that were not asked had cost", () => {
  const history = [hop("a", 1), hopOf("x", null), hop("b", 2), hop("tool", 4), hop("a", 8)];
  expect(reusedIn(wishOf(), history)).toEqual({
    ...{ requests: 11, prompt_tokens: 110, completion_tokens: 11, cost: 1.1 },
  });
  expect(requestsReused({ ask: ["a"] }, history)).toBe(2);
  expect(requestsReused({ ask: ["a", "b"] }, history)).toBe(0);
  expect(requestsReused({ from: 3 }, history)).toBe(3);
  expect(requestsReused({ from: 2 }, history)).toBe(1);
  expect(requestsReused({ from: "b" }, history)).toBe(1);
  expect(requestsReused({ from: "x" }, history)).toBe(1);
});

test("a hop without a price counts for its tokens alone", () => {
  const { cost: _, ...unpriced } = hop("a", 3);
  expect(reusedIn(wishOf(), [unpriced])).toMatchObject({ requests: 3, cost: 0 });
});

test("a branch counts its own hops after those before its fork, and not those of its siblings", () => {
  const history = [
    hop("a", 1),
    hop("a", 2, { branch: 0 }),
    hop("b", 4, { branch: 0 }),
    hop("a", 8, { branch: 1 }),
    hop("a", 16, { branch: 1 }),
    hop("a", 32),
  ];
  // Hop 1 of the task is the first of each branch; the trunk goes on after all of them.
  expect(requestsReused({ from: 1 }, history)).toBe(1);
  expect(requestsReused({ from: 2 }, history)).toBe(1 + 2 + 8);
  expect(requestsReused({ from: 5 }, history)).toBe(31);
  // Role b acts in branch 0 alone: branch 1 is kept, and what follows the join is not.
  expect(requestsReused({ from: "b" }, history)).toBe(1 + 2 + 8 + 16);
});
