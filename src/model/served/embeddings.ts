// Embeddings of the simulated endpoint: unit vectors that are drawn by the text, so that the same
// text has the same vector. They say nothing of its meaning.

import type { Json, JsonObject } from "../../task/json.ts";
import { createRandom, deriveSeed } from "../../task/seed.ts";
import { countTokens } from "../simulated.ts";
import { isText, oneOf, parseBody, TEXT, type Wrong, wholeFrom } from "./checks.ts";

const DIMENSIONS = 256;
const CHECKS = {
  model: TEXT,
  dimensions: wholeFrom(1, 4096),
  encoding_format: oneOf("float", "base64"),
  user: TEXT,
} as const;

export function answerEmbeddings(
  text: string,
  modelName: string,
): { readonly answer: JsonObject } | { readonly wrong: Wrong } {
  const parsed = parseBody(text, CHECKS);
  if ("wrong" in parsed) return parsed;
  const { input, model, dimensions = DIMENSIONS, encoding_format: format } = parsed.body;
  const inputs = inputsOf(input);
  if (inputs === null)
    return {
      wrong: {
        message: "input must be a text, a list of texts, or tokens, and not empty",
        param: "input",
      },
    };
  const tokens = inputs.reduce((sum, text) => sum + countTokens(text), 0);
  const answer = {
    object: "list",
    data: inputs.map((text, index) => {
      const vector = vectorOf(text, Number(dimensions));
      const embedding = format === "base64" ? base64Of(vector) : vector;
      return { object: "embedding", index, embedding };
    }),
    model: isText(model) ? model : modelName,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
  return { answer };
}

function inputsOf(input: Json | undefined): readonly string[] | null {
  const list = (Array.isArray(input) ? input : [input]) as readonly (Json | undefined)[];
  if (list.length === 0) return null;
  if (list.every((text) => isText(text) && text !== "")) return list as readonly string[];
  const isTokens = (value: Json | undefined): boolean =>
    Array.isArray(value) && value.length > 0 && value.every(Number.isInteger);
  if (Array.isArray(input) && isTokens(input)) return [input.join(" ")];
  return list.every(isTokens) ? list.map((tokens) => (tokens as Json[]).join(" ")) : null;
}

function vectorOf(text: string, dimensions: number): number[] {
  const random = createRandom(deriveSeed(text, "embedding"));
  const vector = Array.from({ length: dimensions }, () => random() * 2 - 1);
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}

/** 32-bit floats, little-endian. */
function base64Of(vector: readonly number[]): string {
  const bytes = Buffer.alloc(vector.length * 4);
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * 4);
  return bytes.toString("base64");
}
