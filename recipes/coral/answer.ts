// Answers in the form in which they are compared: a letter in upper case, or a number. Null stands
// for no answer.

export type AnswerKind = "letter" | "number";
export type Answer = string | number | null;

const LETTER = /answer(?:\s+is)?\s*(?::\s*)?\*{0,2}\(?([A-Za-z])\b\)?/gi;
const NUMBER = /answer(?:\s+is)?\s*(?::\s*)?\*{0,2}\(?([-+]?[$€£]?\s?\d[\d,]*(?:\.\d+)?)/gi;

/** The last answer that a message states ("The answer is (B)." or "The answer is $1,200."). */
export function statedAnswer(text: string, kind: AnswerKind): Answer {
  const last = [...text.matchAll(kind === "letter" ? LETTER : NUMBER)].at(-1)?.[1];
  return last === undefined ? null : parseAnswer(last, kind);
}

/** The reference answer of a row: the letter of AQuA, or the number after "####" of GSM8K. */
export function goldAnswer(value: unknown, kind: AnswerKind): Answer {
  if (typeof value === "number") return kind === "number" ? value : null;
  return typeof value === "string" ? parseAnswer(value.split("####").at(-1) ?? "", kind) : null;
}

function parseAnswer(text: string, kind: AnswerKind): Answer {
  if (kind === "letter") return /^\s*\(?([A-Za-z])\)?\s*$/.exec(text)?.[1]?.toUpperCase() ?? null;
  const digits = text.replace(/[\s,$€£]/g, "");
  return digits !== "" && Number.isFinite(Number(digits)) ? Number(digits) : null;
}
