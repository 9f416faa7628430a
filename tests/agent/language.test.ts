// The language agent: what it says of texts in many languages, of mixed ones and of none, and how
// it does on labelled web pages.

import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createLanguageAgent } from "../../src/agent/language.ts";
import type { Json, JsonObject } from "../../src/task/json.ts";
import { agentContext } from "../parts/agent-context.ts";
import { ROOT } from "../parts/repository.ts";
import { taskOf } from "../parts/task.ts";

interface Document extends JsonObject {
  readonly text: string;
  readonly lang: string;
}

const context = agentContext();
const SAMPLE = join(ROOT, "recipes/natural-reasoning/documents.jsonl");
const WEBDOCS = join(ROOT, "../shared/data/webdocs");
/** The bound of the recipe's first stage. */
const SHARE_MIN = 0.85;

function documentsOf(path: string): Document[] {
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Document);
}

async function identify(row: JsonObject, settings: JsonObject = {}): Promise<Json> {
  const task = taskOf({
    ...{
      rowId: "1",
      role: "language",
    },
    row,
  });
  return (await (await createLanguageAgent(settings)).run(task, context)).result;
}

test("the language agent names the language of short documents in thirteen languages", async () => {
  const documents = documentsOf(SAMPLE).filter(({ title }) => title !== "mixed-proof");
  expect(new Set(documents.map(({ lang }) => lang)).size).toBe(13);
  for (const { title, text, lang } of documents)
    expect([title ?? "", await identify({ text })]).toEqual([
      title ?? "",
      { language: lang, share: 1 },
    ]);
});

test("the share of a mixed page is the part that is in its main language", async () => {
  const english =
    "It was the best of times, it was the worst of times, it was the age of wisdom. ".repeat(20);
  const german =
    "Es war die beste aller Zeiten, es war die schlimmste aller Zeiten, es war das Alter der Weisheit. ".repeat(
      5,
    );
  const { language, share } = (await identify({ text: english + german })) as {
    language: string;
    share: number;
  };
  expect(language).toBe("en");
  expect(share).toBeWithin(0.6, 0.9);
});

test("a text without words has no language", async () => {
  for (const text of ["", " \n", "42", "https://example.org/a/b"])
    expect(await identify({ text })).toEqual({ language: null, share: 0 });
});

test("the language agent reads the text that its expression names, and fails when there is none", async () => {
  expect(
    await identify(
      { body: { de: "Guten Morgen, wie geht es Ihnen heute?" } },
      { text: "row.body.de" },
    ),
  ).toMatchObject({
    language: "de",
  });
  await expect(identify({ text: 7 })).rejects.toMatchObject({
    code: "agent_failed",
    message: "the language agent needs a text: row.text is 7",
  });
  await expect(identify({})).rejects.toMatchObject({
    code: "agent_failed",
    message: expect.stringContaining("row.text"),
  });
  await expect(createLanguageAgent({ field: "text" })).rejects.toMatchObject({
    code: "recipe_invalid",
  });
});

test("at least 98 % of the English pages are kept, and a page that is kept is English prose whatever its label", async () => {
  if (!existsSync(WEBDOCS)) {
    console.log("skipped: there are no labelled web pages in ../shared/data/webdocs");
    return;
  }
  const documents = readdirSync(WEBDOCS).flatMap((name) => documentsOf(join(WEBDOCS, name)));
  const kept: Document[] = [];
  for (const document of documents) {
    const { language, share } = (await identify(document)) as {
      language: string | null;
      share: number;
    };
    if (language === "en" && share >= SHARE_MIN) kept.push(document);
  }
  const right = kept.filter(({ lang }) => lang === "en");
  const recall = right.length / documents.filter(({ lang }) => lang === "en").length;
  const precision = right.length / kept.length;
  console.log(
    `English of ${documents.length} pages: precision ${precision.toFixed(3)} against the labels, recall ${recall.toFixed(3)}`,
  );
  expect(recall).toBeGreaterThan(0.98);
  // A page of a manual has the label of its edition, even when the page is not translated yet.
  expect(precision).toBeGreaterThan(0.9);
  const mistaken = kept.filter(({ text, lang }) => lang !== "en" && englishWords(text) < 0.15);
  expect(mistaken.map(({ url }) => url)).toEqual([]);
});

test("the share counts windows of the main language among all windows with words, to three digits", async () => {
  const english = "It was the best of times, it was the worst of times, it was an age of wisdom. ";
  const german =
    "Es war die beste aller Zeiten, es war die schlimmste aller Zeiten und ein Alter. ";
  const window = (text: string) => text.repeat(5).slice(0, 350);
  expect(await identify({ text: window(english) + window(german) + window(english) })).toEqual({
    language: "en",
    share: 0.667,
  });
  expect(await identify({ text: window(english) })).toEqual({ language: "en", share: 1 });
});

test("a long text is judged by sixteen windows, from its beginning to its end", async () => {
  const german =
    "Es war die beste aller Zeiten, es war die schlimmste aller Zeiten und ein Alter. ";
  const english = "It was the best of times, it was the worst of times, it was an age of wisdom. ";
  const text = german.repeat(5).slice(0, 350) + english.repeat(200);
  expect(await identify({ text })).toEqual({ language: "en", share: 0.938 });
  expect(await identify({ text: english.repeat(200) + german.repeat(5).slice(-350) })).toEqual({
    language: "en",
    share: 0.938,
  });
});

test("URLs are left out of a text before it is judged", async () => {
  const urls = "https://example.org/der/die/das/und/nicht ".repeat(50);
  const text = `${urls}This is a short sentence in English, and here is another one. ${urls}`;
  expect(await identify({ text })).toEqual({ language: "en", share: 1 });
});

test("a setting that the agent does not read is refused", async () => {
  for (const settings of [{ field: "text" }, { text: 5 }, { text: "row.text", more: 1 }])
    await expect(createLanguageAgent(settings)).rejects.toMatchObject({
      code: "recipe_invalid",
      message: 'a language agent reads one setting, text: an expression such as "row.text"',
    });
});

/** The part of the words that every English text is full of, a fifth or more of it. */
function englishWords(text: string): number {
  const common =
    text.match(/\b(?:the|of|and|to|is|in|that|for|with|this|are|be|can|you|on)\b/gi)?.length ?? 0;
  return common / (text.match(/\S+/g)?.length ?? 1);
}
