// The price of an answer: from the recipe's table, or from a list of known prices that is part of
// this program. A cost that the provider states comes before both.

import { MatrixError } from "../error.ts";
import { joinKey } from "../recipe/key-path.ts";
import type { ModelConfig, OpenaiModelConfig } from "../recipe/schema/model-schema.ts";
import { roundMoney } from "../task/spent.ts";
import type { Usage } from "../task/task.ts";

/** Returns undefined where neither the recipe nor the provider states a price. */
export type CostOf = (usage: Usage) => number | undefined;

export interface Pricing {
  readonly costOf: CostOf;
  /** The list that the price comes from; null for a price that the recipe states. */
  readonly source: string | null;
}

type PriceTable = Exclude<NonNullable<ModelConfig["price"]>, string>;

/** The package that holds the list, its version, and the day on which that was published. */
export const PRICE_LIST = "@pydantic/genai-prices 0.1.8 of 2026-09-23";

const TOKENS = 1e6;

/** Fails with `recipe_invalid` when the list has no price of the model. */
export async function planPricing(name: string, config: ModelConfig): Promise<Pricing> {
  const { price } = config;
  if (price === "auto" && config.kind === "openai")
    return { costOf: stated(await listedPrice(name, config)), source: PRICE_LIST };
  const listed = price === undefined || price === "auto" ? () => undefined : priceFrom(price);
  return { costOf: stated(listed), source: null };
}

/** The cost that the provider states, or else the one by price. */
function stated(priced: CostOf): CostOf {
  return (usage) => {
    const cost = usage.stated_cost ?? priced(usage);
    return cost === undefined ? undefined : roundMoney(cost);
  };
}

function priceFrom(price: PriceTable): CostOf {
  const { prompt, completion, cached = prompt, cache_write: written = prompt } = price;
  const { reasoning = completion } = price;
  return (usage) => {
    const { cached_tokens: read = 0, cache_write_tokens: wrote = 0 } = usage;
    const { reasoning_tokens: thought = 0 } = usage;
    return (
      ((usage.prompt_tokens - read - wrote) * prompt +
        read * cached +
        wrote * written +
        (usage.completion_tokens - thought) * completion +
        thought * reasoning) /
      TOKENS
    );
  };
}

/** Looks a model up by its endpoint, then by its name alone, as behind a proxy. */
async function listedPrice(name: string, config: OpenaiModelConfig): Promise<CostOf> {
  const { model } = config;
  const { calcPrice } = await import("@pydantic/genai-prices");
  const url = urlOf(config);
  const [vendor = "", ...rest] = model.split("/");
  const lookups = [
    { model, ...(url == null ? {} : { options: { providerApiUrl: url } }) },
    { model, options: {} },
    { model: rest.join("/"), options: { providerId: vendor } },
  ];
  for (const { model: known, options = {} } of lookups) {
    const found = known === "" ? null : calcPrice(NOTHING, known, options);
    if (found === null) continue;
    const { provider } = found;
    return (usage) => calcPrice(unitsOf(usage), known, { provider })?.total_price;
  }
  const message =
    `${PRICE_LIST} has no price of ${model}: state it, for a million tokens each ` +
    "(price = { prompt = …, completion = … })";
  throw new MatrixError("recipe_invalid", message, {
    problems: [{ key: `${joinKey("models", name)}.price`, message }],
  });
}

/** The first URL that the recipe lists; null where a file or a name has them. */
export function urlOf({ base_url: baseUrl }: OpenaiModelConfig): string | null {
  if (typeof baseUrl === "string") return baseUrl;
  return Array.isArray(baseUrl) ? (baseUrl[0] ?? null) : (baseUrl.dns ?? null);
}

const NOTHING = { input_tokens: 0, output_tokens: 0 };

function unitsOf(usage: Usage): Record<string, number> {
  const { cached_tokens = 0, cache_write_tokens = 0, reasoning_tokens = 0 } = usage;
  return {
    input_tokens: usage.prompt_tokens,
    output_tokens: usage.completion_tokens,
    ...(cached_tokens > 0 ? { cache_read_tokens: cached_tokens } : {}),
    ...(cache_write_tokens > 0 ? { cache_write_tokens } : {}),
    ...(reasoning_tokens > 0 ? { output_reasoning_tokens: reasoning_tokens } : {}),
  };
}
