// The simulated models. They count words that are typical of reasoning, and answer in the form of
// the request's schema. They see what a real model would see: the messages and the schema.

interface Request {
  readonly messages: readonly { readonly role: string; readonly content: string | null }[];
  readonly schema?: { readonly title?: string };
}
interface Simulation {
  readonly random: () => number;
  readonly settings: { readonly slips?: number };
}

const CUES =
  /\b(?:because|therefore|thus|hence|since|suppose|prove|follows|contradicts|equals|if|then|so)\b|\d\s*[*/=+]\s*\d/gi;
/** A text with this many cues in a hundred words, or more, counts as reasoning. */
const CUES_MIN = 2.5;
const CONCLUSION = /\b(?:therefore|hence|thus|so|follows|equals)\b|=/i;

export default function reply(
  { messages, schema }: Request,
  { random, settings }: Simulation,
): string {
  const text = messages.findLast(({ role }) => role === "user")?.content ?? "";
  return JSON.stringify(answer(schema?.title, text, random, settings.slips ?? 0));
}

function answer(
  title: string | undefined,
  text: string,
  random: () => number,
  slips: number,
): unknown {
  const density = cuesInHundredWords(text);
  switch (title) {
    case "filter": {
      const reasoning = density >= CUES_MIN !== random() < slips;
      return {
        reasoning,
        reason: reasoning
          ? "It argues from premises to a conclusion."
          : "It describes or announces; nothing follows.",
      };
    }
    case "score":
      return judge(density, text, random);
    default:
      return ask(sentencesOf(text));
  }
}

function cuesInHundredWords(text: string): number {
  return ((text.match(CUES)?.length ?? 0) * 100) / Math.max(1, text.match(/\S+/g)?.length ?? 1);
}

function judge(density: number, text: string, random: () => number): unknown {
  const axis = (base: number): number =>
    Math.max(0, Math.min(10, Math.round(base + 4 * random() - 2)));
  const thinking = axis(3 + density);
  return {
    completeness: axis(CONCLUSION.test(text) ? 8 : 3),
    depth: axis(3 + new Set(text.match(/\b\w{8,}\b/g)).size / 6),
    correctness: axis(8),
    thinking,
    reason:
      thinking >= 5
        ? "Each step follows from the one before."
        : "It states results and leaves out how they come about.",
  };
}

/**
 * Makes the answer of the last conclusion, the steps of the sentences before it, and the question
 * of the beginning.
 */
function ask(sentences: readonly string[]): unknown {
  const conclusion = sentences.findLast(
    (sentence, index) => index > 1 && CONCLUSION.test(sentence),
  );
  if (conclusion === undefined) return { question: "", reference_answer: "", steps: [] };
  const opening =
    sentences.find((sentence) => sentence.endsWith("?")) ??
    `${sentences[0]} What follows, and why?`;
  const steps = sentences
    .slice(1, sentences.indexOf(conclusion) + 1)
    .filter((sentence) => sentence !== opening);
  return { question: opening, reference_answer: conclusion, steps };
}

function sentencesOf(text: string): string[] {
  return text.split(/(?<=[.?!])\s+/).filter((sentence) => sentence !== "");
}
