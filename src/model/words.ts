// English filler for simulated replies: sentences of common words, about one token each.

const WORDS = (
  "the a one each every this that our first next last same value number result step part case " +
  "answer question reason total is was gives shows means leaves makes takes needs follows holds " +
  "from with over under after before into between only also then now still more less half twice " +
  "equal known given simple right wrong small large whole"
).split(" ");
const SENTENCE_WORDS = 11;

/** `count` words in sentences. */
export function drawWords(count: number, random: () => number): string {
  const words = Array.from(
    { length: count },
    () => WORDS[Math.floor(random() * WORDS.length)] ?? "the",
  );
  const sentences: string[] = [];
  for (let i = 0; i < words.length; i += SENTENCE_WORDS) {
    const sentence = words.slice(i, i + SENTENCE_WORDS).join(" ");
    sentences.push(`${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}.`);
  }
  return sentences.join(" ");
}
