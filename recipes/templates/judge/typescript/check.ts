// Turns away answers that need no judge: empty ones and long ones.

import { agent } from "matrix";

export const faultOf = (answer: string, maxWords: number): string | null => {
  const words = answer.split(/\s+/).filter((word) => word !== "").length;
  if (words === 0) return "it is empty";
  return words > maxWords ? `it has ${words} words` : null;
};

export default agent<{ max_words: number }>(({ history }, { settings }) => {
  const last = history.at(-1)?.result as { content: string };
  const { content } = last;
  return { answer: content, fault: faultOf(content, settings.max_words) };
});
