// What an answer costs: by the recipe's table, by the list of known prices, or as the provider
// states.

import { expect, test } from "bun:test";
import packages from "../../package.json" with { type: "json" };
import type { MatrixError } from "../../src/error.ts";
import { PRICE_LIST, planPricing } from "../../src/model/price.ts";
import type { Usage } from "../../src/task/task.ts";
import { openaiConfig } from "./endpoint/config.ts";

const USAGE: Usage = {
  requests: 1,
  prompt_tokens: 1000,
  completion_tokens: 100,
  cached_tokens: 600,
  cache_write_tokens: 300,
  reasoning_tokens: 40,
};

test("every kind of token has its own price", async () => {
  const price = { prompt: 1, completion: 10, cached: 0.1, cache_write: 2, reasoning: 20 };
  const { costOf, source } = await planPricing("m", openaiConfig({ price }));
  expect(costOf(USAGE)).toBe((100 * 1 + 600 * 0.1 + 300 * 2 + 60 * 10 + 40 * 20) / 1e6);
  expect(source).toBeNull();
});

test("a kind of token without a price of its own has that of the prompt or of the answer", async () => {
  const { costOf } = await planPricing("m", openaiConfig({ price: { prompt: 1, completion: 10 } }));
  expect(costOf(USAGE)).toBe((1000 * 1 + 100 * 10) / 1e6);
});

test("a cost that the provider states comes before any price, even 0", async () => {
  const priced = await planPricing("m", openaiConfig({ price: { prompt: 1, completion: 10 } }));
  expect(priced.costOf({ ...USAGE, stated_cost: 0.0012 })).toBe(0.0012);
  expect(priced.costOf({ ...USAGE, stated_cost: 0 })).toBe(0);
  const free = await planPricing("m", openaiConfig());
  expect(free.costOf({ ...USAGE, stated_cost: 0.0012 })).toBe(0.0012);
  expect(free.costOf(USAGE)).toBeUndefined();
});

const listed = async (model: string, base_url: string, usage: Usage = USAGE) => {
  const config = openaiConfig({ model, base_url, price: "auto" });
  return (await planPricing("m", config)).costOf(usage);
};
const PLAIN: Usage = { requests: 1, prompt_tokens: 1e6, completion_tokens: 1e6 };

test("the list of prices knows a model by its endpoint, by its name and by its vendor", async () => {
  expect(await listed("gpt-4o", "https://api.openai.com/v1", PLAIN)).toBe(12.5);
  expect(await listed("gpt-4o", "http://localhost:4000/v1", PLAIN)).toBe(12.5);
  expect(await listed("openai/gpt-4o", "http://localhost:4000/v1", PLAIN)).toBe(12.5);
  expect(await listed("openai/gpt-4o", "https://openrouter.ai/api/v1", PLAIN)).toBe(12.5);
  const config = openaiConfig({
    model: "gpt-4o",
    base_url: ["https://api.openai.com/v1", "http://localhost:4000/v1"],
    price: "auto",
  });
  const { costOf, source } = await planPricing("m", config);
  expect(costOf(PLAIN)).toBe(12.5);
  expect(source).toBe(PRICE_LIST);
});

test("the list of prices has prices of its own for cached and written tokens", async () => {
  const usage = { ...PLAIN, completion_tokens: 0 };
  const sonnet = (more: Partial<Usage>) =>
    listed("claude-sonnet-4-5", "https://api.anthropic.com/v1", { ...usage, ...more });
  expect(
    await listed("gpt-4o", "https://api.openai.com/v1", { ...usage, cached_tokens: 4e5 }),
  ).toBe(0.6 * 2.5 + 0.4 * 1.25);
  const [plain = 0, read = 0, written = 0] = await Promise.all([
    sonnet({ prompt_tokens: 1e5 }),
    sonnet({ prompt_tokens: 1e5, cached_tokens: 1e5 }),
    sonnet({ prompt_tokens: 1e5, cache_write_tokens: 1e5 }),
  ]);
  expect([plain, read, written]).toEqual([0.3, 0.03, 0.375]);
});

test("the list of prices has prices of its own for reasoning", async () => {
  const usage = { requests: 1, prompt_tokens: 0, completion_tokens: 1e6 };
  const research = (more: Partial<Usage>) =>
    listed("sonar-deep-research", "https://api.perplexity.ai", { ...usage, ...more });
  expect([await research({}), await research({ reasoning_tokens: 1e6 })]).toEqual([8, 3]);
});

test("the list of prices counts a single token of each kind", async () => {
  const usage = { requests: 1, prompt_tokens: 1, completion_tokens: 0 };
  const sonnet = (more: Partial<Usage>) =>
    listed("claude-sonnet-4-5", "https://api.anthropic.com/v1", { ...usage, ...more });
  expect([
    await sonnet({}),
    await sonnet({ cached_tokens: 1 }),
    await sonnet({ cache_write_tokens: 1 }),
    await sonnet({ completion_tokens: 1 }),
  ]).toEqual([3e-6, 0.3e-6, 3.75e-6, 18e-6]);
  const thought = { ...usage, prompt_tokens: 0, completion_tokens: 1, reasoning_tokens: 1 };
  expect(await listed("sonar-deep-research", "https://api.perplexity.ai", thought)).toBe(3e-6);
});

test("a model that the list of prices does not know is a problem with a way out", async () => {
  const thrown = await listed("my-model", "http://localhost:8000/v1").then(
    () => expect.unreachable("it has a price"),
    (error: MatrixError) => error,
  );
  const message =
    `${PRICE_LIST} has no price of my-model: state it, for a million tokens each ` +
    "(price = { prompt = …, completion = … })";
  expect(thrown).toMatchObject({
    code: "recipe_invalid",
    message,
    problems: [{ key: "models.m.price", message }],
  });
});

test("the named version of the list is the one that is installed", () => {
  const version = packages.dependencies["@pydantic/genai-prices"];
  expect(PRICE_LIST).toStartWith(`@pydantic/genai-prices ${version} of 20`);
});
