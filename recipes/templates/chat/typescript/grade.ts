// Grades a finished conversation: a point for a customer who is done, less for each turn it took.

import { agent, type Hop, type Json } from "matrix";

export const textOf = (result: Json): string =>
  String((result as { content?: Json }).content ?? "");

export const grade = (history: readonly Pick<Hop, "role" | "result">[]) => {
  const turns = history.filter(({ role }) => role === "assistant").length;
  const last = history.filter(({ role }) => role === "customer").at(-1)?.result ?? null;
  const isDone = last !== null && textOf(last).includes("DONE");
  return { done: isDone, turns, score: isDone ? 1 / Math.max(1, turns) : 0 };
};

export default agent(({ history }) => grade(history));
