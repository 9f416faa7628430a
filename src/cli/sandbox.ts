// `matrix sandbox check|build|ls|gc`: what this machine can run, its images, its sandboxes, and
// those that dead hosts left behind.

import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command, Option } from "commander";
import { EXIT, MatrixError, messageOf } from "../error.ts";
import { openBuiltIn } from "../recipe/built-in/place.ts";
import { isImagePath } from "../recipe/schema/sandbox-schema.ts";
import { findApptainer, reportApptainer } from "../sandbox/apptainer/program.ts";
import { ApptainerSandboxes } from "../sandbox/apptainer/sandboxes.ts";
import type { Sandboxes, SandboxSpec } from "../sandbox/contract.ts";
import { reportDocker } from "../sandbox/docker/client.ts";
import { DockerSandboxes } from "../sandbox/docker/sandboxes.ts";
import { exec } from "../sandbox/exec.ts";
import { prepareImage } from "../sandbox/image/prepare.ts";
import { Lease } from "../sandbox/lease.ts";
import { findSandboxes, reap } from "../sandbox/reaper.ts";
import { chooseEngine } from "../sandbox/site.ts";
import { printable } from "../task/printable.ts";
import type { Log } from "../telemetry/log.ts";
import { jsonOption } from "./flags.ts";
import { type CheckedEngine, renderEngine, renderSandboxes } from "./text/sandboxes.ts";

interface JsonFlag {
  readonly json?: boolean;
}

export function sandboxCommand(): Command {
  const command = new Command("sandbox").description(
    "check, build, list and clean up sandboxes on this machine",
  );
  command
    .command("check")
    .description(
      "print what this machine can run and what to fix; an image is started once (exit 1: nothing can run)",
    )
    .argument("[image]", "a Docker reference, a SIF, or a folder with a Dockerfile")
    .addOption(jsonOption(JSON_HELP))
    .action(check);
  command
    .command("build")
    .description("build the image of a folder, and print the name that a recipe uses for it")
    .argument("<name>", "a folder, or the name of a folder in sandboxes/ or in this binary")
    .addOption(
      new Option("--engine <engine>", "build a Docker image, or a SIF for Apptainer")
        .choices(["auto", "docker", "apptainer"])
        .default("auto")
        .env("MATRIX_ENGINE"),
    )
    .action(build);
  command
    .command("ls")
    .description("list the sandboxes of all runs on this machine")
    .addOption(jsonOption(JSON_HELP))
    .action(list);
  command
    .command("gc")
    .description("remove sandboxes whose host is gone")
    .addOption(jsonOption(JSON_HELP))
    .action(collect);
  return command;
}

const JSON_HELP = "print one object a line on stdout";

/** Messages beside the results go to stderr. */
const aloud: Log = {
  write: (_level, message) => console.error(printable(message)),
  close: async () => undefined,
};
const silent: Log = { write: () => undefined, close: async () => undefined };

async function check(image: string | undefined, flags: JsonFlag): Promise<void> {
  const reports = { docker: await reportDocker(), apptainer: await reportApptainer() };
  const checked: CheckedEngine[] = [];
  for (const engine of ["docker", "apptainer"] as const) {
    const report = reports[engine];
    const fits =
      image !== undefined && report.usable && !(engine === "docker" && image.endsWith(".sif"));
    checked.push({ engine, ...report, trial: fits ? await tryImage(engine, image) : null });
  }
  const chosen = await chooseEngine("auto", image ?? "").catch(() => null);
  if (flags.json === true)
    for (const one of checked)
      console.log(printable(JSON.stringify({ ...one, auto: one.engine === chosen?.engine })));
  else console.log(printable(checked.map(renderEngine).join("\n")));
  const failed = checked.some(({ trial }) => trial !== null && "failure" in trial);
  if (chosen === null) process.exitCode = EXIT.failedAbove;
  else if (image !== undefined && failed) process.exitCode = EXIT.failedAbove;
  if (flags.json === true) return;
  console.log(
    chosen === null ? "no engine here can run sandboxes" : `engine = "auto" takes ${chosen.engine}`,
  );
}

const TRIAL: Omit<SandboxSpec, "image"> = {
  name: "check",
  memoryBytes: 256 * 2 ** 20,
  diskBytes: null,
  cpus: 1,
  pids: 64,
  network: "none",
  readOnly: true,
  user: "caller",
  mounts: [],
  env: {},
  workdir: "/work",
};

/** Starts one sandbox and runs one command in it. */
async function tryImage(
  engine: "docker" | "apptainer",
  image: string,
): Promise<NonNullable<CheckedEngine["trial"]>> {
  try {
    const apptainer = (await findApptainer()) ?? "apptainer";
    const prepared = await prepareImage(isImagePath(image) ? resolve(image) : image, engine, {
      log: aloud,
      apptainer,
    });
    await using lease = await Lease.take({ run: "check", host: "check" });
    const sandboxes: Sandboxes =
      engine === "docker"
        ? await DockerSandboxes.connect(lease, silent)
        : new ApptainerSandboxes(apptainer, lease, silent);
    const startedAt = performance.now();
    await using sandbox = await sandboxes.start({ ...TRIAL, image: prepared });
    const { exitCode, stderr } = await exec(sandbox, {
      args: ["/bin/sh", "-c", "true"],
      timeoutMs: 30_000,
      outputBytesMax: 1000,
    });
    const ms = Math.round(performance.now() - startedAt);
    return exitCode === 0
      ? { ms }
      : {
          failure: `a command in it exited with ${exitCode}: ${Buffer.from(stderr).toString("utf8").trim()}`,
        };
  } catch (thrown) {
    const hint =
      thrown instanceof MatrixError && thrown.hint !== undefined ? ` (${thrown.hint})` : "";
    return { failure: `${messageOf(thrown)}${hint}` };
  }
}

async function build(
  name: string,
  { engine }: { readonly engine: "auto" | "docker" | "apptainer" },
): Promise<void> {
  const folder = [name, `sandboxes/${name}`, join(await openBuiltIn(), "sandboxes", name)]
    .map((path) => resolve(path))
    .find((path) => existsSync(path));
  if (folder === undefined)
    throw new MatrixError("usage", `there is no folder ${name}, and none in sandboxes/`, {
      hint: "give the folder with the Dockerfile",
    });
  const chosen = await chooseEngine(engine, folder);
  const apptainer = (await findApptainer()) ?? "apptainer";
  // A script reads the built image's name from stdout.
  console.log(await prepareImage(folder, chosen.engine, { log: aloud, apptainer }));
}

async function list(flags: JsonFlag): Promise<void> {
  const found = await findSandboxes();
  if (flags.json === true) for (const one of found) console.log(printable(JSON.stringify(one)));
  else if (found.length === 0) console.error("no sandbox of matrix runs here");
  else console.log(printable(renderSandboxes(found, Date.now())));
}

async function collect(flags: JsonFlag): Promise<void> {
  const { removed, failures } = await reap(silent);
  if (flags.json === true) for (const one of removed) console.log(printable(JSON.stringify(one)));
  else
    console.log(removed.length === 1 ? "removed 1 sandbox" : `removed ${removed.length} sandboxes`);
  if (failures.length > 0)
    throw new MatrixError("sandbox_unavailable", `cannot remove ${failures.join("; ")}`);
}
