// The simulated speaker. It holds an opinion that is drawn by seed, defends it, and adopts the
// other's answer with the probability `persuasion`. It sees what a real model would see: the
// messages.

import { type AnswerKind, statedAnswer } from "./answer.ts";

interface Message {
  readonly role: string;
  readonly content: string | null;
}
interface Simulation {
  readonly random: () => number;
  readonly settings: { readonly persuasion?: number };
}

/** The probability that a first opinion is the first candidate, for both speakers alike. */
const SALIENCE = 0.35;

export default function reply(
  { messages }: { readonly messages: readonly Message[] },
  { random, settings }: Simulation,
): string {
  const question = messages.find(({ role }) => role === "user")?.content ?? "";
  const options = [...question.matchAll(/^[^\S\n]*([A-Z])\)/gm)].map((match) => match[1] as string);
  const kind: AnswerKind = options.length > 0 ? "letter" : "number";
  const candidates = options.length > 0 ? options : candidateNumbers(question);

  const own = lastAnswer(messages, "assistant", kind);
  const other = lastAnswer(messages, "user", kind);
  if (own === null) return state(pick(candidates, random), other, kind, random);
  if (other === null || other === own) return state(own, other, kind, random);
  return state(random() < (settings.persuasion ?? 0.35) ? other : own, other, kind, random);
}

/** Draws a first opinion: often the first candidate, else any of them. */
function pick(candidates: readonly string[], random: () => number): string {
  if (random() < SALIENCE) return candidates[0] ?? "0";
  return candidates[Math.floor(random() * candidates.length)] ?? "0";
}

/** Results of combining two numbers of a word problem, in the order in which the numbers appear. */
function candidateNumbers(question: string): string[] {
  const numbers = [...question.matchAll(/\d[\d,]*(?:\.\d+)?/g)]
    .map((match) => Number(match[0].replaceAll(",", "")))
    .slice(0, 4);
  const combined = numbers.flatMap((a, i) =>
    numbers.slice(i + 1).flatMap((b) => [a + b, a * b, Math.abs(a - b), b === 0 ? a : a / b]),
  );
  const usable = (combined.length > 0 ? combined : [...numbers, 0]).filter((value) =>
    Number.isFinite(value),
  );
  return [...new Set(usable.map((value) => String(Math.round(value * 100) / 100)))];
}

function lastAnswer(messages: readonly Message[], role: string, kind: AnswerKind): string | null {
  const stated = messages
    .filter((message) => message.role === role)
    .map(({ content }) => statedAnswer(content ?? "", kind));
  const last = stated.findLast((answer) => answer !== null);
  return last === undefined || last === null ? null : String(last);
}

function state(
  answer: string,
  other: string | null,
  kind: AnswerKind,
  random: () => number,
): string {
  const opening = other === null ? OPENINGS : other === answer ? AGREEMENTS : OBJECTIONS;
  const sentence = opening[Math.floor(random() * opening.length)] ?? "";
  const reason = REASONS[Math.floor(random() * REASONS.length)] ?? "";
  return `${sentence} ${reason} The answer is ${kind === "letter" ? `(${answer})` : answer}.`;
}

const OPENINGS = [
  "Let me set the problem up with the numbers that are given.",
  "I would first write down what is known and what is asked.",
  "This looks like a problem that one short equation solves.",
];
const AGREEMENTS = [
  "You are right, I follow your steps and come to the same result.",
  "Yes, I checked it the other way round and it agrees with yours.",
  "That convinces me; my earlier step was off.",
];
const OBJECTIONS = [
  "I do not think so: one of the quantities was counted twice.",
  "I see how you got there, but the units do not match in the second step.",
  "I still disagree, the last step does not follow from the one before.",
];
const REASONS = [
  "Putting the values in and simplifying leaves one candidate.",
  "Working backwards from the result gives the numbers in the question.",
  "Only one value is consistent with every condition.",
  "Estimating the size of the result rules the others out.",
];
