// What stands in recipes everywhere: durations, sizes, names, paths, templates and distributions. Durations and sizes are strings
// in the file and numbers here (milliseconds, bytes).

import * as v from "valibot";
import { isJsonObject, type JsonObject } from "../task/json.ts";
import { parseDuration, parseSize } from "./unit.ts";

const DURATION = 'a duration such as "90s", "500ms" or "2h"';
export const duration = v.pipe(
  v.string(DURATION),
  v.rawTransform<string, number>(({ dataset, addIssue, NEVER }) => {
    const ms = parseDuration(dataset.value);
    if (ms !== null) return ms;
    addIssue({ message: DURATION });
    return NEVER;
  }),
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
);
export const name = v.pipe(
  v.string(),
  v.regex(
    /^[A-Za-z0-9][A-Za-z0-9_.-]*$/,
    "letters, digits, '_', '.' and '-', starting with a letter or digit",
  ),
);
export const positive = v.pipe(v.number(), v.integer(), v.minValue(1));
export const count = v.pipe(v.number(), v.integer(), v.minValue(0));
export const fraction = v.pipe(v.number(), v.minValue(0), v.maxValue(1));
/** Free JSON that user code or a model reads. */
export const settings = v.custom<JsonObject>(isJsonObject, "a table");
/** A path, relative to the file that names it. The loader makes it absolute. */
export const path = v.pipe(v.string("a path"), v.nonEmpty("a path"));
/** A template: a path to its file, or its text. */
export const template = v.union(
  [path, v.strictObject({ text: v.string() })],
  'a path, or { text = "…" }',
);
/** Names of roles, at least one. */
export const names = v.pipe(v.array(v.string()), v.minLength(1, "at least one role"));

/** A distribution of a duration (ms) or a count: a constant, or a table. */
const distributionOf = <T extends v.GenericSchema<unknown, number>>(value: T, wanted: string) =>
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
  );
export const durationDistribution = distributionOf(duration, DURATION);
export const countDistribution = distributionOf(v.pipe(v.number(), v.minValue(0)), "a number");

export type Distribution = v.InferOutput<typeof durationDistribution>;
export type TemplateSource = v.InferOutput<typeof template>;
