// Embeddings of the simulated endpoint.

import { expect, test } from "bun:test";
import { answerEmbeddings } from "../../../src/model/served/embeddings.ts";

const embed = (body: unknown) =>
  answerEmbeddings(JSON.stringify(body), "served") as unknown as {
    answer: { data: { embedding: number[]; index: number }[]; model: string; usage: object };
    wrong: object;
  };
const vectors = (body: unknown) => embed(body).answer.data.map(({ embedding }) => embedding);

test("a text has one unit vector, always the same, and another text has another", () => {
  const [a, b, again] = vectors({ input: ["a", "b", "a"] });
  expect(a).toHaveLength(256);
  expect(Math.hypot(...(a ?? []))).toBeCloseTo(1, 10);
  expect(again).toEqual(a as number[]);
  expect(b).not.toEqual(a as number[]);
  expect(vectors({ input: "a" })).toEqual([a as number[]]);
});

test("an answer has the place of each text, the asked model and the tokens of all texts", () => {
  const { answer } = embed({ input: ["abcde", "b"], model: "m", dimensions: 2 });
  expect(answer).toMatchObject({
    object: "list",
    data: [
      { object: "embedding", index: 0 },
      { object: "embedding", index: 1 },
    ],
    model: "m",
    usage: { prompt_tokens: 3, total_tokens: 3 },
  });
  expect(answer.data[0]?.embedding).toHaveLength(2);
  expect(embed({ input: "a" }).answer.model).toBe("served");
});

test("base64 holds the vector as 32-bit floats", () => {
  const [vector] = vectors({ input: "a", dimensions: 3 });
  const [text] = vectors({ input: "a", dimensions: 3, encoding_format: "base64" });
  const bytes = Buffer.from(text as unknown as string, "base64");
  const floats = [0, 4, 8].map((at) => bytes.readFloatLE(at));
  expect(floats).toEqual((vector ?? []).map(Math.fround));
});

test("tokens are taken for a text, alone or in a list", () => {
  expect(vectors({ input: [1, 2] })).toEqual(vectors({ input: "1 2" }));
  expect(vectors({ input: [[1, 2], [3]] })).toEqual(vectors({ input: ["1 2", "3"] }));
});

test("a body without input, or with a wrong field, is refused", () => {
  for (const input of [undefined, "", [], 5, ["a", ""], ["a", 5], [[]], [[1, "x"]]])
    expect(embed({ input }).wrong).toEqual({
      message: "input must be a text, a list of texts, or tokens, and not empty",
      param: "input",
    });
  expect(embed({ input: "a", dimensions: 0 }).wrong).toEqual({
    message: "dimensions must be a whole number from 1 to 4096",
    param: "dimensions",
  });
  expect(embed({ input: "a", encoding_format: "int8" }).wrong).toEqual({
    message: "encoding_format must be one of float, base64",
    param: "encoding_format",
  });
});
