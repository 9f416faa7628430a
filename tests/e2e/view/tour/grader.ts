// Compares the last answer with the row's.

import { agent } from "matrix";

export default agent((task) => {
  const last = task.history.findLast(({ role }) => role === "solver")?.result;
  const text = (last as { content?: string | null }).content ?? "";
  const found = /(\d)\}?\$?\.?$/.exec(text.trim())?.[1] ?? null;
  return { answer: found, score: found === task.row["answer"] ? 1 : 0 };
});
