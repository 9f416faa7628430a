// Scores a draft by how near it is to the wanted number of words: 1 for an exact hit.

import { agent } from "matrix";

export const scoreOf = (draft: string, wanted: number): number => {
  const words = draft.split(/\s+/).filter((word) => word !== "").length;
  return Math.max(0, 1 - Math.abs(words - wanted) / wanted);
};

export default agent(({ row, history }) => {
  const last = history.at(-1)?.result as { content: string };
  const { content } = last;
  return { draft: content, score: scoreOf(content, Number(row["words"])) };
});
