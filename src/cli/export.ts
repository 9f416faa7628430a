// `matrix export DIR --to FORMAT -o FILE`: the records of a run in a format of others.

import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { extname } from "node:path";
import { Command, Option } from "commander";
import { type Manifest, readManifest } from "../driver/manifest.ts";
import { readRecords } from "../driver/read-records.ts";
import { MatrixError, messageOf } from "../error.ts";
import { type Tau2File, Tau2Results } from "../export/tau2.ts";
import { isJsonObject, type JsonObject } from "../task/json.ts";
import { grouped } from "./panel.ts";

interface ExportFlags {
  readonly to: "tau2";
  readonly output: string;
  readonly json?: boolean;
}

interface Written extends Tau2File {
  readonly path: string;
}

export function exportCommand(): Command {
  return new Command("export")
    .description("write the records of a run in another format (tau2: the official results file, one a domain)")
    .argument("<dir>", "the run directory")
    .addOption(new Option("--to <format>", "the format").env("MATRIX_TO").choices(["tau2"]).makeOptionMandatory())
    .addOption(new Option("-o, --output <file>", "where to; with several domains, FILE-DOMAIN").env("MATRIX_OUTPUT").makeOptionMandatory())
    .addOption(new Option("--json", "one object on stdout").env("MATRIX_JSON"))
    .action(async (directory: string, { output, json = false }: ExportFlags) => {
      const { files, left } = await exportTau2(directory, output);
      if (json) console.log(JSON.stringify({ files, left_out: left }));
      else
        for (const { path, domain, tasks, simulations } of files)
          console.log(`${path}: ${domain}, ${grouped(simulations)} simulations of ${grouped(tasks)} tasks`);
      if (left > 0 && !json) console.error(`${grouped(left)} records without a score are not in it`);
    });
}

/** Files appear whole or not at all. */
async function exportTau2(directory: string, output: string): Promise<{ files: readonly Written[]; left: number }> {
  const manifest = await readManifest(directory);
  if (manifest === null) throw new MatrixError("usage", `${directory} is no run directory: it has no manifest`);
  const parts = new Map<string, FileHandle>();
  const partOf = (domain: string) => `${output}.${domain}.tmp`;
  try {
    const results = new Tau2Results(runOf(manifest), async (domain, text) => {
      const part = parts.get(domain) ?? (await open(partOf(domain), "w"));
      parts.set(domain, part);
      await part.write(text);
    });
    for await (const record of readRecords(directory)) await results.add(record);
    const files = (await results.finish()).map((file) => ({ ...file, path: parts.size === 1 ? output : inserted(output, file.domain) }));
    for (const part of parts.values()) await part.close();
    for (const { domain, path } of files) await rename(partOf(domain), path);
    return { files, left: results.left };
  } catch (thrown) {
    for (const [domain, part] of parts) {
      await part.close().catch(() => undefined);
      await rm(partOf(domain), { force: true });
    }
    if (thrown instanceof MatrixError) throw thrown;
    throw new MatrixError("storage_failed", `cannot write ${output}: ${messageOf(thrown)}`, { cause: thrown });
  }
}

function runOf({ trials, seed, recipe }: Manifest) {
  const roles = recipe["roles"];
  const samplingOf = (role: string): JsonObject => {
    const table = isJsonObject(roles) ? roles[role] : null;
    return isJsonObject(table) && isJsonObject(table["sampling"]) ? table["sampling"] : {};
  };
  return { trials, seed, sampling: { assistant: samplingOf("assistant"), user: samplingOf("user-simulator") } };
}

/** results.json, airline → results-airline.json */
function inserted(path: string, domain: string): string {
  const extension = extname(path);
  return `${path.slice(0, path.length - extension.length)}-${domain}${extension}`;
}
