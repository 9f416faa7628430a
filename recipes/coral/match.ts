// Finds out whether the speakers agree, on which answer, and whether that answer is right. The
// result is { answers: { student, teacher }, agreed, answer, correct, score }. `correct` and
// `score` are null when the row has no reference answer.

import { agent } from "matrix";
import { type Answer, type AnswerKind, goldAnswer } from "./answer.ts";

export default agent<{ answers: AnswerKind; gold: string }>(({ row, history }, { settings }) => {
  const answers: Record<string, Answer> = { student: null, teacher: null };
  for (const { role, result } of history) {
    if (role !== "extractor") continue;
    const { speaker, answer } = result as { speaker: string; answer: Answer };
    // After a message without an answer, the speaker's last answer still counts.
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
