// The kinds of values that keys share: durations, sizes, names, paths, templates, expressions and
// distributions. A recipe writes durations and sizes as text; the program reads milliseconds and
// bytes. The title of a kind is its name on the reference page.

import * as v from "valibot";
import { isJsonObject, type JsonObject } from "../../task/json.ts";
import { schemeOf } from "../../task/scheme.ts";
import { parseDuration, parseSize } from "../unit.ts";

/**
 * A key's schema with its documentation: a text for the reference page and for editors, and
 * examples as a recipe writes them. It adds no check.
 */
export function described<const TSchema extends v.GenericSchema>(
  schema: TSchema,
  text: string,
  ...examples: v.InferInput<TSchema>[]
) {
  return v.pipe(schema, v.description(text), v.metadata({ examples }));
}

const DURATION = 'a duration such as "90s", in ms, s, m, h or d';
export const duration = v.pipe(
  v.string(DURATION),
  v.rawTransform<string, number>(({ dataset, addIssue, NEVER }) => {
    const ms = parseDuration(dataset.value);
    if (ms !== null) return ms;
    addIssue({ message: DURATION });
    return NEVER;
  }),
  v.title("duration"),
);
const SIZE = 'a size such as "512B", "64MiB" or "2GB"';
export const size = v.pipe(
  v.string(SIZE),
  v.rawTransform<string, number>(({ dataset, addIssue, NEVER }) => {
    const bytes = parseSize(dataset.value);
    if (bytes !== null) return bytes;
    addIssue({ message: SIZE });
    return NEVER;
  }),
  v.title("size"),
);
export const name = v.pipe(
  v.string(),
  v.regex(
    /^[A-Za-z0-9][A-Za-z0-9_.-]*$/,
    "letters, digits, '_', '.' and '-', starting with a letter or digit",
  ),
  v.title("name"),
);
export const text = v.pipe(v.string(), v.title("text"));
export const flag = v.pipe(v.boolean(), v.title("true or false"));
export const positive = v.pipe(
  v.number(),
  v.integer(),
  v.minValue(1),
  v.title("whole number from 1"),
);
export const count = v.pipe(v.number(), v.integer(), v.minValue(0), v.title("whole number from 0"));
export const fraction = v.pipe(
  v.number(),
  v.minValue(0),
  v.maxValue(1),
  v.title("number from 0 to 1"),
);
export const aboveZero = v.pipe(v.number(), v.gtValue(0), v.title("number above 0"));
export const fromZero = v.pipe(v.number(), v.minValue(0), v.title("number from 0"));
/** A table that user code or a model reads, with any JSON in it. */
export const settings = v.pipe(v.custom<JsonObject>(isJsonObject, "a table"), v.title("table"));
/** A path, relative to the file that names it. The loader makes it absolute. */
export const path = v.pipe(
  v.string("a path"),
  v.nonEmpty("a path"),
  v.check((text) => schemeOf(text) === null, "a path on this machine"),
  v.title("path"),
);
/** A path, or the address of a dataset on the Hugging Face hub. */
export const rowsPath = v.pipe(
  v.string("a path"),
  v.nonEmpty("a path"),
  v.check(
    (text) => [null, "hf"].includes(schemeOf(text)),
    "a path on this machine, or a dataset of the hub, hf://OWNER/NAME",
  ),
  v.title("path"),
);
/** A template: the path of its file, or its text. */
export const template = v.pipe(
  v.union([path, v.strictObject({ text: v.string() })], 'a path, or { text = "…" }'),
  v.title('path, or `{ text = "…" }`'),
);
/** A CEL expression. Its syntax is checked with the references of the recipe. */
export const expression = v.pipe(v.string(), v.title("expression"));
export const role = v.pipe(v.string(), v.title("role"));
export const roles = v.pipe(v.array(v.string()), v.title("list of roles"));
/** Names of roles, at least one. */
export const someRoles = v.pipe(
  v.array(v.string()),
  v.minLength(1, "at least one role"),
  v.title("list of roles"),
);
export const variables = v.pipe(v.record(v.string(), v.string()), v.title("table of texts"));

/** A single value, or a table that describes a distribution. */
const distributionOf = <T extends v.GenericSchema<unknown, number>>(
  value: T,
  wanted: string,
  kind: string,
) =>
  v.pipe(
    v.union(
      [
        v.pipe(
          value,
          v.transform((constant) => ({ kind: "constant" as const, value: constant })),
        ),
        v.variant("kind", [
          v.strictObject({ kind: v.literal("constant"), value }),
          v.strictObject({ kind: v.literal("uniform"), min: value, max: value }),
          v.strictObject({ kind: v.literal("normal"), mean: value, sigma: value }),
          v.strictObject({ kind: v.literal("exponential"), mean: value }),
          v.strictObject({
            kind: v.literal("lognormal"),
            median: value,
            sigma: v.pipe(v.number(), v.minValue(0)),
          }),
          v.strictObject({
            kind: v.literal("pareto"),
            min: value,
            alpha: v.pipe(v.number(), v.gtValue(0)),
          }),
        ]),
      ],
      `${wanted}, or a distribution such as { kind = "lognormal", … }`,
    ),
    v.title(`${kind} or distribution`),
  );
/** A distribution of milliseconds. */
export const durationDistribution = distributionOf(duration, DURATION, "duration");
export const countDistribution = distributionOf(
  v.pipe(v.number(), v.minValue(0)),
  "a number",
  "number",
);

export type Distribution = v.InferOutput<typeof durationDistribution>;
export type TemplateSource = v.InferOutput<typeof template>;
