// `matrix view [PLACE…]` serves a web page over finished and live runs, or writes it to a folder.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command, Option } from "commander";
import { MatrixError } from "../error.ts";
import { LOOPBACK, parseAddress, VIEW_ADDRESS } from "../http/address.ts";
import type { Expression } from "../recipe/expression/expression.ts";
import { printable } from "../task/printable.ts";
import { writeBundle } from "../view/bundle/write-bundle.ts";
import { createToken } from "../view/guard.ts";
import { RunLibrary } from "../view/library/run-library.ts";
import { loadPage } from "../view/page-files.ts";
import { serveView, userName, type ViewServer } from "../view/serve.ts";
import { celExpression } from "./flags.ts";
import { onInterrupt } from "./interrupts.ts";

interface ViewFlags {
  readonly listen?: string;
  readonly who?: string;
  readonly open?: boolean;
  readonly bundle?: string;
  readonly select?: Expression;
}

export function viewCommand(): Command {
  return new Command("view")
    .description("serve a web page over finished and live runs: look, search, compare, judge")
    .argument(
      "[place...]",
      "run directories, folders with run directories, or files of records (default: runs)",
    )
    .addOption(
      new Option(
        "--listen <address>",
        "host:port to serve at, with a token unless it is loopback; port 0 takes a free one",
      ).env("MATRIX_LISTEN"),
    )
    .addOption(
      new Option(
        "--who <name>",
        "name under which your judgements are kept (default: your user)",
      ).env("MATRIX_WHO"),
    )
    .addOption(new Option("--open", "open the page in the browser").env("MATRIX_OPEN"))
    .addOption(
      new Option("--bundle <dir>", "write the page and its data to a folder instead").env(
        "MATRIX_BUNDLE",
      ),
    )
    .addOption(
      new Option("--select <cel>", "with --bundle: take only records for which this is true")
        .env("MATRIX_SELECT")
        .argParser(celExpression),
    )
    .action(view);
}

async function view(given: readonly string[], flags: ViewFlags): Promise<void> {
  const places = given.length > 0 ? given : [existsSync("runs") ? "runs" : "."];
  if (flags.bundle !== undefined) return bundle(places, flags.bundle, flags.select ?? null);
  if (flags.select !== undefined)
    throw new MatrixError("usage", "--select chooses the records of a bundle: it needs --bundle");
  const server = await start(places, flags);
  // The URL is the result: a script reads it from stdout.
  console.log(server.url);
  for (const line of adviceFor(server, process.env)) console.error(printable(line));
  if (flags.open === true) openBrowser(server.url);
  await signalled();
  await server.stop();
}

async function bundle(
  places: readonly string[],
  output: string,
  filter: Expression | null,
): Promise<void> {
  const library = new RunLibrary(places, process.cwd());
  try {
    const { runs, records, leftOut } = await writeBundle({
      ...{ library, output: resolve(output), page: await loadPage() },
      filter,
    });
    const left = leftOut === 0 ? "" : `, ${leftOut} left out`;
    console.log(printable(join(output, "index.html")));
    console.error(`${runs} runs, ${records} records${left}; known secrets are masked`);
  } finally {
    await library.close();
  }
}

/** Starts the server. Without `--listen`, it takes another port where the usual one is taken. */
async function start(places: readonly string[], flags: ViewFlags): Promise<ViewServer> {
  const options = {
    ...{ places, cwd: process.cwd(), page: await loadPage(), token: createToken() },
    who: flags.who ?? userName(),
  };
  if (flags.listen !== undefined)
    return serveView({ ...options, address: parseAddress(flags.listen, VIEW_ADDRESS) });
  try {
    return await serveView({ ...options, address: VIEW_ADDRESS });
  } catch (thrown) {
    if (!(thrown instanceof MatrixError) || !thrown.message.startsWith("cannot listen"))
      throw thrown;
    return serveView({ ...options, address: LOOPBACK });
  }
}

export function adviceFor(
  { url, port }: Pick<ViewServer, "url" | "port">,
  env: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const [, , address = ""] = (env["SSH_CONNECTION"] ?? "").split(" ");
  const isLocal = !url.includes("token=");
  return [
    ...(address === "" || !isLocal
      ? []
      : [
          `from your own machine: ssh -N -L ${port}:localhost:${port} ${address}, then open ${url}`,
        ]),
    "stop with Ctrl-C",
  ];
}

/** Opens a browser. Where none opens, the page is served without one. */
function openBrowser(url: string): void {
  const command = process.platform === "darwin" ? "open" : "xdg-open";
  const failed = () => console.error(`${command} opens no browser here; open the URL yourself`);
  spawn(command, [url], { stdio: "ignore" }).on("error", failed);
}

/** Resolves at the first signal that asks this process to end. */
async function signalled(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const dispose = onInterrupt(resolve);
  await promise;
  dispose();
}
