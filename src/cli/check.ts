// `matrix check RECIPE` prints everything that is wrong with a recipe, or else what the recipe
// would do: rows, roles, models and the first prompts. It asks no model without --probe.

import { Command, Option } from "commander";
import { MatrixError, type Problem } from "../error.ts";
import { masked, maskedJson } from "../known-secrets.ts";
import type { ChatMessage } from "../model/contract.ts";
import { createAddresses } from "../model/replica/addresses.ts";
import { unplacedIn } from "../recipe/built-in/place.ts";
import { joinKey } from "../recipe/key-path.ts";
import { formatProblems } from "../recipe/problem.ts";
import { isOfRole } from "../recipe/process-role.ts";
import type { OpenaiModelConfig } from "../recipe/schema/model-schema.ts";
import { checkRecipe } from "../run/check/check-recipe.ts";
import { answerCodePart, isCodePart } from "../run/check/code-part.ts";
import { endpointsOf, type Reach } from "../run/check/reach.ts";
import { type Bound, boundOf } from "../run/limits.ts";
import { unisolated } from "../sandbox/site.ts";
import { printable } from "../task/printable.ts";
import {
  jsonOption,
  noCodeOption,
  type OverrideFlags,
  overrideOptions,
  overridesOf,
  RECIPE_HELP,
} from "./flags.ts";
import { grouped } from "./text/figures.ts";
import { renderPrompt } from "./text/prompt.ts";
import { renderReach } from "./text/reach.ts";

interface Described {
  readonly name: string;
  /** Says whether modules were loaded and programs were started. */
  readonly code: "checked" | "left out";
  readonly simulated: boolean;
  readonly rows: number;
  readonly trials: number;
  readonly expected: number;
  readonly concurrency: number;
  readonly models: readonly ModelPlan[];
  readonly roles: readonly RolePlan[];
  /** Probable mistakes. */
  readonly doubts: readonly Problem[];
  /** The role that acts first. */
  readonly first_role: string | null;
  /** Sandboxes of the recipe, without those that roles with their own program are given. */
  readonly sandboxes: readonly {
    readonly name: string;
    readonly engine: string;
    readonly image: string | null;
  }[];
}

interface ModelPlan {
  readonly name: string;
  readonly kind: string;
  readonly id: string;
  readonly endpoint: string | null;
  /** The current problem of the replicas file, if any. A run reads the file again and again. */
  readonly problem: string | null;
}

interface RolePlan {
  readonly name: string;
  readonly agent: string;
  readonly model: string | null;
  readonly concurrency: number;
  /** The limit that keeps it from working at all tasks in flight at once, if there is one. */
  readonly bound: Bound | null;
  /** The prompt that an llm role's model gets for the first row, before any other role answers. */
  readonly first_prompt: readonly ChatMessage[] | null;
}

interface CheckFlags extends OverrideFlags {
  /** False with --no-code. */
  readonly code: boolean;
  readonly probe?: boolean;
  readonly json?: boolean;
}

export function checkCommand(): Command {
  const command = new Command("check")
    .description(
      "print everything that is wrong with a recipe and its dataset, or what the recipe would do (exit 2: something is wrong)",
    )
    .argument("<recipe>", RECIPE_HELP)
    .argument("[key=value...]", "recipe keys to override");
  for (const option of overrideOptions) command.addOption(option);
  return command
    .addOption(
      new Option(
        "--probe",
        "ask each endpoint in use for one token, and say what it refuses: the key, the model, the connection",
      ).env("MATRIX_PROBE"),
    )
    .addOption(noCodeOption("load no module and start no program of the recipe"))
    .addOption(jsonOption())
    .action(async (recipe: string, keyValues: readonly string[], flags: CheckFlags) => {
      if (isCodePart(process.env)) return console.log(await answerCodePart(process.env));
      await check(recipe, overridesOf(keyValues, flags), flags);
    });
}

async function check(
  recipe: string,
  overrides: readonly string[],
  flags: CheckFlags,
): Promise<void> {
  let reach: Reach | null = null;
  const isJson = flags.json === true;
  const onReach = (found: Reach): void => {
    reach = found;
    if (!isJson) console.log(printable(masked(unplacedIn(`${renderReach(found)}\n`))));
  };
  try {
    const plan = await describe(recipe, overrides, flags, onReach);
    const text = isJson
      ? maskedJson(JSON.stringify({ valid: true, reach, plan }))
      : masked(unplacedIn(textOf(plan)));
    console.log(printable(text));
  } catch (thrown) {
    if (!isJson || !(thrown instanceof MatrixError)) throw thrown;
    const { code, message, problems, hint = null } = thrown;
    const refusal = { valid: false, code, message, problems, hint, reach };
    console.log(printable(maskedJson(JSON.stringify(refusal))));
    process.exitCode = thrown.exitCode;
  }
}

async function describe(
  recipePath: string,
  overrides: readonly string[],
  { probe = false, code: withCode }: CheckFlags,
  onReach: (reach: Reach) => void,
): Promise<Described> {
  const { loaded, models, scanned, doubts, preview } = await checkRecipe(recipePath, {
    ...{ overrides, env: process.env, cwd: process.cwd(), isProbed: probe, withCode, onReach },
  });
  const { scan } = scanned;
  const { recipe } = loaded;
  const used = new Set(Object.values(recipe.roles).map(({ model }) => model));
  return {
    name: recipe.name,
    code: withCode ? "checked" : "left out",
    simulated: Object.entries(recipe.models).some(
      ([name, { kind }]) => kind !== "openai" && used.has(name),
    ),
    rows: scan.rows,
    trials: recipe.run.trials,
    expected: scan.rows * recipe.run.trials,
    concurrency: recipe.run.concurrency,
    doubts,
    models: await Promise.all(
      Object.entries(recipe.models).map(async ([name, config]) => ({
        name,
        kind: config.kind,
        id: models.get(name)?.id ?? `${config.kind}:${name}`,
        endpoint: config.kind === "openai" ? endpointsOf(config.base_url).join(", ") : null,
        problem: config.kind === "openai" ? await problemOf(config.base_url) : null,
      })),
    ),
    roles: Object.entries(recipe.roles).map(([name, config]) => ({
      name,
      agent: config.agent,
      model: config.model ?? null,
      concurrency: config.concurrency,
      bound: boundOf(recipe, name),
      first_prompt: preview?.prompts.get(name) ?? null,
    })),
    first_role: preview?.firstRole ?? null,
    sandboxes: Object.entries(recipe.sandboxes)
      .filter(([name]) => !isOfRole(name))
      .map(([name, { engine, image = null }]) => ({ name, engine, image })),
  };
}

async function problemOf(baseUrl: OpenaiModelConfig["base_url"]): Promise<string | null> {
  if (typeof baseUrl === "string" || Array.isArray(baseUrl) || baseUrl.file === undefined)
    return null;
  return (await createAddresses(baseUrl).find()).problem;
}

function textOf(plan: Described): string {
  const lines = [
    `${plan.name}: ${sizeOf(plan)}`,
    "",
    "models",
    ...plan.models.map(
      ({ name, kind, id, endpoint }) =>
        `  ${name}: ${endpoint === null ? kind.toUpperCase() : `${id} at ${endpoint}`}`,
    ),
    "",
    "roles",
    ...plan.roles.map(
      ({ name, agent, model, concurrency, bound }) =>
        `  ${name}: ${agent}${model === null ? "" : `, model ${model}`}, ${grouped(concurrency)} slots` +
        (name === plan.first_role ? " (acts first)" : "") +
        boundText(bound, plan.concurrency),
    ),
    ...(plan.sandboxes.length === 0 ? [] : ["", "sandboxes"]),
    ...plan.sandboxes.map(({ name, engine, image }) =>
      engine === "process"
        ? `  ${name}: PLAIN PROCESSES: ${unisolated(image ?? "")}`
        : `  ${name}: ${image}, engine ${engine}`,
    ),
  ];
  for (const { name, first_prompt: prompt } of plan.roles) {
    if (prompt === null) continue;
    lines.push("", `first prompt of ${name}, for the first row`, ...renderPrompt(prompt));
  }
  const problems = [
    ...plan.models.flatMap(({ name, problem }) =>
      problem === null ? [] : [`  ${joinKey("models", name)}: ${problem}`],
    ),
    ...formatProblems(plan.doubts).map(({ text }) => `  ${text.replaceAll("\n", "\n  ")}`),
  ];
  return [
    ...lines,
    "",
    ...(plan.code === "checked"
      ? []
      : ["no module was loaded and no program was started (--no-code)"]),
    problems.length === 0 ? "nothing is wrong with it" : "nothing is wrong with it, but",
    ...problems,
  ].join("\n");
}

function boundText(bound: Bound | null, inFlight: number): string {
  if (bound === null) return "";
  return `; at most ${grouped(bound.steps)} of ${grouped(inFlight)} tasks at once on each host (${bound.key})`;
}

function sizeOf({ rows, trials, expected, concurrency }: Described): string {
  const tasks = `${grouped(rows)} rows × ${trials} trials = ${grouped(expected)} tasks`;
  return `${tasks}, ${grouped(concurrency)} in flight`;
}
