// Doubts about keys that have no effect beside the others: what was written cannot do what its
// author wanted.

import type { JsonObject } from "../../task/json.ts";
import type { Complaint } from "../complaint.ts";
import { filesOf } from "../files.ts";
import { joinKey, valueAt } from "../key-path.ts";
import { isPython } from "../python-imports.ts";
import type { ModelConfig } from "../schema/model-schema.ts";
import type { Recipe, RoleConfig } from "../schema/schema.ts";

/** `written` is the table as it was written: a default is no doubt. */
export function idleKeys(recipe: Recipe, written: JsonObject): readonly Complaint[] {
  const all = [
    ...idleModels(recipe),
    ...Object.entries(recipe.models).flatMap(([name, model]) =>
      idleInModel(joinKey("models", name), model),
    ),
    ...Object.entries(recipe.roles).flatMap(([name, role]) =>
      idleInRole(joinKey("roles", name), role),
    ),
    ...idleInRun(recipe),
    ...idleInDataset(recipe),
    ...idlePython(recipe),
  ];
  return all.filter(({ key }) => valueAt(written, key) !== undefined);
}

function usedModels({ roles }: Recipe): ReadonlySet<string> {
  return new Set(Object.values(roles).flatMap(({ model }) => model ?? []));
}

function idleModels(recipe: Recipe): readonly Complaint[] {
  const used = usedModels(recipe);
  return Object.keys(recipe.models)
    .filter((name) => !used.has(name))
    .map((name) => ({ key: joinKey("models", name), message: "no role asks this model" }));
}

function idleInModel(key: string, model: ModelConfig): readonly Complaint[] {
  const idle = (name: string, message: string): Complaint => ({ key: `${key}.${name}`, message });
  if (model.kind === "openai") {
    const urls = [model.base_url].flat().map((url) => (typeof url === "string" ? url : url.dns));
    const isPlain = urls.every((url) => url !== undefined && /^http:/i.test(url));
    return isPlain ? [idle("tls", "this key has no effect: base_url is not https")] : [];
  }
  if (model.kind === "scripted") return [];
  const { replies, errors } = model;
  return replies === undefined
    ? [idle("with", "this key has no effect: only `replies` read it"), ...idleRetry(idle, errors)]
    : [
        idle("output_tokens", "this key has no effect: `replies` say how long an answer is"),
        ...idleRetry(idle, errors),
      ];
}

function idleRetry(
  idle: (name: string, message: string) => Complaint,
  { rate_limited: share }: { readonly rate_limited: number },
): readonly Complaint[] {
  const message = "this key has no effect: errors.rate_limited is 0";
  return share > 0 ? [] : [idle("retry_after", message)];
}

function idleInRole(key: string, { attachments }: RoleConfig): readonly Complaint[] {
  return attachments === undefined
    ? [
        {
          key: `${key}.attachment_folder`,
          message: "this key has no effect: the role has no attachments",
        },
      ]
    : [];
}

function idleInRun(recipe: Recipe): readonly Complaint[] {
  const { store, models } = recipe;
  const used = [...usedModels(recipe)].flatMap((name) => models[name] ?? []);
  const doubts: Complaint[] = [];
  const add = (key: string, message: string): void => void doubts.push({ key, message });
  if (!used.some(({ kind }) => kind === "openai"))
    add("run.cache", "this key has no effect: only answers of endpoints are kept");
  if (!store.enabled)
    for (const key of ["store.above", "store.memory"])
      add(key, "this key has no effect: store.enabled is false");
  return doubts;
}

/** Endings of files that are not CSV, also when they are compressed. */
const NOT_CSV = /\.(jsonl|ndjson|json|parquet|arrow)(\.\w+)?$/i;

function idleInDataset({ dataset }: Recipe): readonly Complaint[] {
  const { format } = dataset;
  const isOther =
    format === undefined
      ? [dataset.path].flat().every((path) => NOT_CSV.test(path))
      : format !== "csv" && format !== "tsv";
  return isOther
    ? [{ key: "dataset.csv", message: "this key has no effect: the dataset is no CSV" }]
    : [];
}

function idlePython(recipe: Recipe): readonly Complaint[] {
  const hasPython = filesOf(recipe).some(([, path]) => isPython(path));
  return hasPython
    ? []
    : [{ key: "python", message: "this table has no effect: the recipe names no Python file" }];
}
