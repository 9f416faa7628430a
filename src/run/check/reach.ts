// The reach of a recipe on the machine and the network: what it runs, reads, mounts, asks, sends
// and writes. It is read from the keys of the recipe alone. Nothing of the recipe is loaded or
// started for it, so it can be shown before its user decides to.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { folderOf, namedFiles } from "../../agent/role-files.ts";
import { publicUrl } from "../../model/endpoint/credentials.ts";
import { statesNeeds } from "../../python/script.ts";
import type { Environment } from "../../recipe/compose.ts";
import { filesOf, isModule, readRecipeFile } from "../../recipe/files.ts";
import { parseGraphPath } from "../../recipe/graph-path.ts";
import { interpreterOf } from "../../recipe/interpreter.ts";
import { joinKey, splitKey } from "../../recipe/key-path.ts";
import type { ExaminedRecipe, LoadedRecipe } from "../../recipe/load.ts";
import { isOfRole } from "../../recipe/process-role.ts";
import { isPython } from "../../recipe/python-imports.ts";
import type { OpenaiModelConfig } from "../../recipe/schema/model-schema.ts";
import { BUILT_IN_AGENTS } from "../../recipe/schema/role-schema.ts";
import { isImagePath } from "../../recipe/schema/sandbox-schema.ts";
import type { Recipe } from "../../recipe/schema/schema.ts";

/** One thing that a recipe does, and the key that says so. */
export interface Deed {
  readonly key: string;
  readonly what: string;
}

export interface Running extends Deed {
  readonly kind: "module" | "program" | "commands" | "image";
  readonly where: string;
}

export interface Mounting extends Deed {
  readonly target: string;
  readonly sandbox: string;
  readonly writable: boolean;
}

export interface Sending extends Deed {
  /** The receiver of the value. */
  readonly to: string;
}

export interface Reach {
  readonly runs: readonly Running[];
  readonly reads: readonly Deed[];
  readonly mounts: readonly Mounting[];
  readonly asks: readonly Deed[];
  /** Variables of the environment, by name, and who gets them. */
  readonly sends: readonly Sending[];
  readonly writes: readonly Deed[];
}

const EVERY_VARIABLE = "every variable of the environment";
const HUB = "https://huggingface.co";

/** Parts of the recipe that are wrong are left out. */
export async function reachOf(
  { loaded, soundness }: Pick<ExaminedRecipe, "loaded" | "soundness">,
  env: Environment,
): Promise<Reach> {
  const { recipe } = loaded;
  const sound = <T extends Deed>(deeds: readonly T[]): readonly T[] =>
    deeds
      .filter(({ key }) => soundness.isSound(key))
      .map((deed) => ({ ...deed, key: soundness.writtenAs(deed.key) }));
  const runs = sound(runsOf(recipe));
  const mounts = sound(mountsOf(recipe));
  return {
    runs,
    reads: sound(await readsOf(recipe)),
    mounts,
    asks: sound([...asksOf(recipe, env), ...(await installsOf(recipe))]),
    sends: sound(sendsOf(loaded, runs, env)),
    writes: sound(writesOf(recipe, mounts)),
  };
}

/** Tells whether anything of the recipe is a module, which loading it would run. */
export function hasModules({ runs }: Reach): boolean {
  return runs.some(({ kind }) => kind === "module");
}

function runsOf(recipe: Recipe): readonly Running[] {
  const { roles, models, sandboxes, orchestrator, python } = recipe;
  const runs: Running[] = [];
  const addModule = (key: string, what: string, own = python.command): void => {
    const where = isPython(parseGraphPath(what).module)
      ? `by ${own.join(" ")}, which nothing isolates`
      : "in matrix itself";
    runs.push({ kind: "module", key, what, where });
  };
  for (const [name, role] of Object.entries(roles)) {
    const key = joinKey("roles", name);
    const { agent, command, request, sandbox } = role;
    if (request !== undefined) addModule(`${key}.request`, request, role.python);
    if (agent === "llm" || agent === "language") continue;
    const where = placeOf(recipe, sandbox);
    if (agent === "exec")
      runs.push({ kind: "commands", key, what: "commands that tasks and models name", where });
    else if (sandbox === undefined) addModule(`${key}.agent`, agent);
    else {
      const own = isOfRole(sandbox) ? (role.python ?? python.command) : null;
      const start = isPython(agent) && own !== null ? [...own, "-u"] : interpreterOf(agent);
      const words = command ?? [...(start ?? []), agent];
      runs.push({ kind: "program", key: `${key}.agent`, what: words.join(" "), where });
    }
  }
  for (const [name, model] of Object.entries(models))
    if (model.kind === "simulated" && typeof model.replies === "string" && isCode(model.replies))
      addModule(`${joinKey("models", name)}.replies`, model.replies);
  if ("module" in orchestrator) addModule("orchestrator.module", orchestrator.module);
  if ("graph" in orchestrator) addModule("orchestrator.graph", orchestrator.graph);
  for (const [name, { image = "", engine, network }] of Object.entries(sandboxes)) {
    if (engine === "process") continue;
    const key = `${joinKey("sandboxes", name)}.image`;
    const by = engine === "auto" ? "Docker or Apptainer" : engine;
    runs.push({ kind: "image", key, what: image, where: `by ${by}, ${NETWORKS[network]}` });
  }
  return runs;
}

function isCode(path: string): boolean {
  return isModule(path) || isPython(path);
}

const NETWORKS = { none: "without a network", host: "with the network of this machine" } as const;

function placeOf({ sandboxes }: Recipe, name = ""): string {
  const config = sandboxes[name];
  if (config !== undefined && config.engine !== "process") return `in sandbox ${name}`;
  return "as a process of this machine, which nothing isolates";
}

async function readsOf(recipe: Recipe): Promise<readonly Deed[]> {
  const reads: Deed[] = [];
  const add = (key: string, what: string | undefined): void => {
    if (what !== undefined && !reads.some((other) => other.what === what))
      reads.push({ key, what });
  };
  for (const path of [recipe.dataset.path].flat()) add("dataset.path", path);
  for (const [key, path] of filesOf(recipe)) {
    // Imports are found in the text of a module, which is not run for it.
    const files = existsSync(path) ? await readRecipeFile(path).catch(() => []) : [];
    for (const file of [path, ...files.map((one) => one.path)]) add(key, file);
  }
  for (const [name, { attachments, attachment_folder: folder }] of Object.entries(recipe.roles)) {
    const key = joinKey("roles", name);
    if (attachments !== undefined && folder !== undefined)
      add(`${key}.attachment_folder`, `files below ${folder} that rows name`);
  }
  for (const [name, model] of Object.entries(recipe.models)) {
    if (model.kind !== "openai") continue;
    const key = joinKey("models", name);
    const { base_url: url, tls } = model;
    if (typeof url !== "string" && !Array.isArray(url)) add(`${key}.base_url.file`, url.file);
    for (const part of ["ca", "cert", "key"] as const) add(`${key}.tls.${part}`, tls?.[part]);
  }
  return reads;
}

function mountsOf(recipe: Recipe): readonly Mounting[] {
  return Object.entries(recipe.sandboxes).flatMap(([sandbox, { engine, mounts }]) => {
    if (engine === "process") return [];
    const key = joinKey("sandboxes", sandbox);
    const roles = Object.entries(recipe.roles).filter(([, role]) => role.sandbox === sandbox);
    return [
      ...mounts.map((mount, index) => ({ ...mount, key: `${key}.mounts.${index}` })),
      // Copies, with the modules that they import.
      ...roles.flatMap(([name, role]) =>
        namedFiles(name, role).map(([from, source]) => ({
          ...{ source, target: folderOf(name), writable: false, key: from },
        })),
      ),
    ].map(({ key, source, target, writable }) => ({
      key,
      what: source,
      target,
      sandbox,
      writable,
    }));
  });
}

function asksOf(recipe: Recipe, env: Environment): readonly Deed[] {
  const asks: Deed[] = [];
  for (const [name, model] of Object.entries(recipe.models))
    if (model.kind === "openai")
      for (const what of endpointsOf(model.base_url))
        asks.push({ key: `${joinKey("models", name)}.base_url`, what });
  for (const path of [recipe.dataset.path].flat())
    if (isOnHub(path)) asks.push({ key: "dataset.path", what: hubOf(env) });
  for (const [name, { image = "", engine }] of Object.entries(recipe.sandboxes)) {
    if (engine === "process") continue;
    const key = `${joinKey("sandboxes", name)}.image`;
    if (!isImagePath(image))
      asks.push({ key, what: `the registry of ${image}, unless it is here` });
    else if (!image.endsWith(".sif"))
      asks.push({ key, what: `whatever building ${image} asks, unless it is built` });
  }
  return asks;
}

/** Files that state needs which uv may install. */
async function installsOf(recipe: Recipe): Promise<readonly Deed[]> {
  if (!recipe.python.install) return [];
  const deeds: Deed[] = [];
  for (const [key, path] of filesOf(recipe))
    if (isPython(path) && (await statesNeeds(path)))
      deeds.push({ key, what: `the package index of uv, for what ${path} states` });
  return deeds;
}

/** The addresses of a model, without credentials. */
export function endpointsOf(url: OpenaiModelConfig["base_url"]): readonly string[] {
  if (typeof url === "string" || Array.isArray(url)) return [url].flat().map(publicUrl);
  return url.file !== undefined
    ? [`the replicas in ${url.file}`]
    : [`every address of ${publicUrl(url.dns ?? "")}`];
}

function isOnHub(path: string): boolean {
  return path.startsWith("hf://");
}

function hubOf(env: Environment): string {
  return publicUrl(env["HF_ENDPOINT"] || HUB);
}

function sendsOf(
  { recipe, references }: LoadedRecipe,
  runs: readonly Running[],
  env: Environment,
): readonly Sending[] {
  const sends = references.map(({ variable, key, isSecret }) => ({
    what: variable,
    key,
    to: isSecret ? receiverOf(key, recipe) : plainReceiverOf(key, recipe),
  }));
  if ([recipe.dataset.path].flat().some(isOnHub))
    sends.push({ what: "HF_TOKEN, if it is set", key: "dataset.path", to: hubOf(env) });
  for (const { kind, key, what } of runs) {
    const role = recipe.roles[splitKey(key)[1] ?? ""];
    const isPlain = kind === "program" && isOfRole(role?.sandbox ?? "");
    if (kind === "module" || isPlain)
      sends.push({ what: EVERY_VARIABLE, key, to: BUILT_IN_AGENTS.includes(what) ? key : what });
  }
  return sends;
}

/** The receiver of a secret. */
function receiverOf(key: string, { models }: Recipe): string {
  const [section, name = "", part = "", header] = splitKey(key);
  if (section === "sandboxes") return `sandbox ${name}, as ${header}`;
  const model = models[name];
  const hosts = model?.kind === "openai" ? endpointsOf(model.base_url).join(", ") : name;
  if (part === "api_key") return `${hosts}, as Authorization`;
  return part === "headers" ? `${hosts}, as ${header}` : hosts;
}

/** A value in plain text stands in the run directory, and goes where its key says. */
function plainReceiverOf(key: string, { models }: Recipe): string {
  const [section, name = "", part] = splitKey(key);
  const written = "recipe.toml and manifest.json of the run";
  if (section === "roles" && part === "command") return `the command of ${name}; ${written}`;
  const model = models[name];
  if (section !== "models" || model?.kind !== "openai" || part !== "model") return written;
  return `${endpointsOf(model.base_url).join(", ")}; ${written}`;
}

function writesOf({ name, run }: Recipe, mounts: readonly Mounting[]): readonly Deed[] {
  return [
    {
      key: run.output === undefined ? "name" : "run.output",
      what: run.output ?? join("runs", name),
    },
    ...(run.cache === undefined ? [] : [{ key: "run.cache", what: run.cache }]),
    ...mounts
      .filter(({ writable }) => writable)
      .map(({ key, what, sandbox }) => ({ key, what: `${what}, from sandbox ${sandbox}` })),
  ];
}
