// Says whether the speakers agree, on what, and whether that is right.
// Result: { answers: { student, teacher }, agreed, answer, correct, score }; `correct` is null when the row has no gold answer.

import { agent } from "matrix";
import { type Answer, type AnswerKind, goldAnswer } from "./answer.ts";

export default agent<{ answers: AnswerKind; gold: string }>(({ row, history }, { settings }) => {
  const answers: Record<string, Answer> = { student: null, teacher: null };
  for (const { role, result } of history) {
    if (role !== "extractor") continue;
    const { speaker, answer } = result as { speaker: string; answer: Answer };
    // A message without an answer keeps the speaker's last one.
    if (answer !== null) answers[speaker] = answer;
  }
  const { student = null, teacher = null } = answers;
  const agreed = student !== null && student === teacher;
  const gold = goldAnswer(row[settings.gold], settings.answers);
  const correct = gold === null ? null : agreed && student === gold;
  return {
    answers,
    agreed,
    answer: agreed ? student : null,
    correct,
    score: correct === null ? null : Number(correct),
  };
});
