// `matrix model serve` serves the simulated model as an OpenAI-compatible endpoint.

import { Command, Option } from "commander";
import { loadTemplate } from "../agent/create.ts";
import { loadUserModule } from "../agent/user-module.ts";
import { MatrixError } from "../error.ts";
import { LOOPBACK, parseAddress } from "../http/address.ts";
import { refuseForeignPages } from "../http/browser-guard.ts";
import { loadReplies } from "../model/create.ts";
import { createModelServer } from "../model/served/server.ts";
import { serve } from "../platform.ts";
import { PythonFiles } from "../python/files.ts";
import { loadModel, loadRecipe } from "../recipe/load.ts";
import type { SimulatedModelConfig } from "../recipe/schema/model-schema.ts";
import type { Recipe } from "../recipe/schema/schema.ts";
import { printable } from "../task/printable.ts";
import { onInterrupt } from "./interrupts.ts";

interface ServeFlags {
  readonly listen: string;
  readonly recipe?: string;
  readonly model?: string;
}

const DEFAULT_ADDRESS = { ...LOOPBACK, port: 8000 };

export function modelCommand(): Command {
  const command = new Command("model").description("serve the simulated model");
  command
    .command("serve")
    .description(
      "serve the simulated model as an OpenAI-compatible endpoint, until Ctrl-C or SIGTERM",
    )
    .argument("[key=value...]", "keys of [models.NAME]: latency=200ms errors.rate_limited=0.1")
    .addOption(
      new Option("--listen <address>", "host:port to serve at; port 0 takes a free one")
        .env("MATRIX_LISTEN")
        .default(`${DEFAULT_ADDRESS.hostname}:${DEFAULT_ADDRESS.port}`),
    )
    .addOption(
      new Option("--recipe <file>", "serve a simulated model of this recipe").env("MATRIX_RECIPE"),
    )
    .addOption(new Option("--model <name>", "name of the model in the recipe").env("MATRIX_MODEL"))
    .action(serveModel);
  return command;
}

async function serveModel(settings: readonly string[], flags: ServeFlags): Promise<void> {
  const { name, config, python: own } = await modelOf(settings, flags);
  const { timeout: decideMs, ...python } = own ?? {};
  const files = new PythonFiles(decideMs === undefined ? {} : { ...python, decideMs });
  const loaders = { loadModule: loadUserModule, loadTemplate, python: files };
  const replies = await loadReplies(name, config, loaders);
  const { hostname, port } = parseAddress(flags.listen, DEFAULT_ADDRESS);
  const app = createModelServer({ name, config, replies });
  const fetch = refuseForeignPages(hostname, (request) => app.fetch(request));
  const server = listen(hostname, port, fetch);
  // The URL is the result: a script reads it from stdout.
  console.log(`${server.url}/v1`);
  console.error(printable(`simulated model "${name}" at ${server.url}/v1; stop with Ctrl-C`));
  await signalled();
  await server.stop();
}

/** Resolves at the first signal that asks this process to end. */
async function signalled(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const dispose = onInterrupt(resolve);
  await promise;
  dispose();
}

function listen(
  hostname: string,
  port: number,
  fetch: (request: Request) => Response | Promise<Response>,
): ReturnType<typeof serve> {
  try {
    return serve({ hostname, port, fetch });
  } catch (cause) {
    throw new MatrixError("usage", `cannot listen on ${hostname}:${port}`, {
      cause,
      hint: "another program may hold the port; --listen 127.0.0.1:0 takes a free one",
    });
  }
}

async function modelOf(
  settings: readonly string[],
  { recipe: path, model: wanted }: ServeFlags,
): Promise<{ name: string; config: SimulatedModelConfig; python?: Recipe["python"] }> {
  const where = { env: process.env, cwd: process.cwd() };
  const overridesOf = (name: string) => settings.map((setting) => `models.${name}.${setting}`);
  if (path === undefined) {
    const name = wanted ?? "simulated";
    return { name, config: await loadModel(name, { ...where, overrides: overridesOf(name) }) };
  }
  // The settings belong to the only simulated model when no name is given.
  const { recipe } = await loadRecipe(path, where);
  const simulated = Object.entries(recipe.models).filter(
    ([name, { kind }]) => kind === "simulated" && (wanted === undefined || name === wanted),
  );
  const [name] = simulated[0] ?? [];
  if (simulated.length === 1 && name !== undefined) {
    const { recipe: set } = await loadRecipe(path, { ...where, overrides: overridesOf(name) });
    const config = set.models[name];
    if (config?.kind === "simulated") return { name, config, python: set.python };
  }
  const names = Object.entries(recipe.models)
    .filter(([, { kind }]) => kind === "simulated")
    .map(([name]) => name);
  throw new MatrixError(
    "usage",
    wanted === undefined
      ? `${path} has ${names.length} simulated models`
      : `${path} has no simulated model "${wanted}"`,
    {
      hint:
        names.length === 0
          ? "name a recipe that has a simulated model, or leave out --recipe"
          : `name one with --model: ${names.join(", ")}`,
    },
  );
}
