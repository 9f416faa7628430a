// The words of a line up to the cursor, as bash would split it. The last word is the one that is
// being completed; it is empty after a space.

/** Splits at spaces outside of quotes, and takes the quotes away. */
export function wordsOf(line: string): readonly string[] {
  const words: string[] = [];
  let word = "";
  let quote = "";
  for (let at = 0; at < line.length; at++) {
    const letter = line[at] ?? "";
    if (quote !== "'" && letter === "\\") word += line[++at] ?? "";
    else if (quote !== "") {
      if (letter === quote) quote = "";
      else word += letter;
    } else if (letter === "'" || letter === '"') quote = letter;
    else if (/\s/.test(letter)) {
      if (word !== "" || /["']/.test(line[at - 1] ?? "")) words.push(word);
      word = "";
    } else word += letter;
  }
  return [...words, word];
}

/** The same text for bash, which takes away one level of quotes. */
export function quotedForBash(text: string): string {
  return text.replaceAll(/[^\w@%+=:,./-]/g, "\\$&");
}
