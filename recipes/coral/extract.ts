// Reads the current answer of the last speaker. The result is { speaker, answer }.

import { agent, type Json } from "matrix";
import { type AnswerKind, statedAnswer } from "./answer.ts";

export default agent<{ answers: AnswerKind }>(({ history }, { settings }) => {
  const last = history.at(-1);
  return {
    speaker: last?.role ?? null,
    answer: statedAnswer(textOf(last?.result ?? null), settings.answers),
  };
});

function textOf(message: Json): string {
  return typeof message === "object" && message !== null && "content" in message
    ? String(message.content)
    : "";
}
