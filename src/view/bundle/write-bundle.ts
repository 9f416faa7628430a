// `matrix view --bundle`: the page and its data as files, which any web server and file:// show.
// It is written beside its place and moved there when it is whole.

import { existsSync } from "node:fs";
import { readdir, rename, rm, rmdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { MatrixError, messageOf } from "../../error.ts";
import { randomId } from "../../random-id.ts";
import type { Expression } from "../../recipe/expression/expression.ts";
import { parseJson } from "../../task/exact.ts";
import type { JsonObject } from "../../task/json.ts";
import { version } from "../../version.ts";
import { type Compared, compareAnswer } from "../answers/compare-answer.ts";
import { attachmentsOf, Recipes, recordAnswer, wholeOf } from "../answers/record-answer.ts";
import { openCard, runAnswer } from "../answers/run-answer.ts";
import type { Bundle, BundledRecord, BundledRun, CompareAnswer, RunCard } from "../api.ts";
import { PAGE_POLICY } from "../guard.ts";
import { rowOf } from "../library/listing.ts";
import type { RunLibrary } from "../library/run-library.ts";
import type { Moment, ShownRun } from "../library/shown-run.ts";
import type { PageFiles } from "../page-files.ts";
import { DataParts, writeData, writeIn } from "./data-files.ts";
import { withoutCredentialsIn, withoutFolders } from "./redacted.ts";

const ROWS_OF_FILE = 10_000;
const RECORD_CHARS_OF_FILE = 2 ** 20;
/** Runs whose pairs are all compared. */
const COMPARED_MAX = 6;
/** Hops of a record whose prompts are rendered: the first of each role, and no more. */
const PROMPTS_MAX = 20;

export interface BundleOptions {
  readonly library: RunLibrary;
  readonly page: PageFiles;
  /** The folder, which must not be there or be empty. */
  readonly output: string;
  /** Must be true for a record that the bundle has; null for every record. */
  readonly filter: Expression | null;
}

export interface BundleSummary {
  readonly runs: number;
  readonly records: number;
  /** Records that the filter left out, or on which it failed. */
  readonly leftOut: number;
}

/** Fails with `usage` before anything is written, and with `storage_failed` after that. */
export async function writeBundle(options: BundleOptions): Promise<BundleSummary> {
  const { library, output } = options;
  if (existsSync(output) && (await readdir(output).catch(() => ["a file"])).length > 0)
    throw new MatrixError("usage", `${output} is there already, and is not empty`, {
      hint: "remove it, or name another folder",
    });
  const { runs } = await library.find();
  if (runs.length === 0) throw new MatrixError("usage", "there is no run to write to a bundle");
  const folder = join(dirname(output), `.${basename(output)}.${randomId(8)}`);
  try {
    const bundled: BundledRun[] = [];
    for (const { key } of runs) {
      const shown = await library.run(key);
      if (shown !== null) bundled.push(await new RunBundler(options, folder, shown).write());
    }
    await writePage(options.page, folder);
    const bundle: Bundle = {
      session: {
        version,
        who: "",
        canAnnotate: false,
        from: "bundle",
        places: [],
        only: bundled.length === 1 ? (bundled[0]?.card.key ?? null) : null,
      },
      runs: bundled,
      comparisons: await comparisonsOf(library, bundled),
    };
    await writeData(folder, "bundle", bundle);
    await moveTo(folder, output);
    const leftOut = bundled.reduce((sum, run) => sum + run.leftOut, 0);
    const all = bundled.reduce((sum, { card: { counts } }) => sum + countIn(counts), 0);
    return { runs: bundled.length, records: all - leftOut, leftOut };
  } finally {
    // The first failure says more than a failure to clean up.
    await rm(folder, { recursive: true, force: true }).catch(() => undefined);
  }
}

/** An empty folder makes room. Fails with `storage_failed`. */
async function moveTo(folder: string, output: string): Promise<void> {
  try {
    if (existsSync(output)) await rmdir(output);
    await rename(folder, output);
  } catch (cause) {
    throw new MatrixError("storage_failed", `cannot write ${output}: ${messageOf(cause)}`, {
      cause,
    });
  }
}

async function writePage(page: PageFiles, folder: string): Promise<void> {
  for (const [name, { gzip }] of page) {
    const bytes = gunzipSync(gzip);
    await writeIn(folder, name, name === "index.html" ? bundlePage(bytes.toString("utf8")) : bytes);
  }
}

/** The page reads its data from files when it is marked so, and has no server to set its policy. */
function bundlePage(html: string): string {
  const policy = `<meta http-equiv="content-security-policy" content="${PAGE_POLICY}">`;
  return html.replace(/<html\b/, "<html data-bundle").replace(/<head>/, `<head>${policy}`);
}

/** Writes one run. */
class RunBundler {
  readonly #options: BundleOptions;
  readonly #folder: string;
  readonly #shown: ShownRun;
  readonly #recipes = new Recipes();
  readonly #attached = new Set<string>();

  constructor(options: BundleOptions, folder: string, shown: ShownRun) {
    this.#options = options;
    this.#folder = folder;
    this.#shown = shown;
  }

  async write(): Promise<BundledRun> {
    const moment = await this.#shown.wholeMoment();
    const { table } = moment;
    const { key } = this.#shown.run.found;
    const answer = await runAnswer(this.#options.library, this.#shown, moment);
    const shared = withoutFolders(withoutCredentialsIn(answer));
    await writeData(this.#folder, `${key}/run`, shared);
    const rows = new DataParts(this.#folder, `${key}/rows`, Number.POSITIVE_INFINITY, ROWS_OF_FILE);
    const records = new DataParts(
      this.#folder,
      `${key}/records`,
      RECORD_CHARS_OF_FILE,
      Number.POSITIVE_INFINITY,
    );
    let leftOut = 0;
    for (let n = 0; n < table.size; n++) {
      const record = await this.#record(moment, n);
      if (record === null) leftOut++;
      else {
        await rows.add(withoutCredentialsIn(await rowOf(table, n, moment.said.get(n))), n);
        await records.add(record, n);
      }
    }
    await rows.flush();
    await records.flush();
    return {
      card: shared.card,
      rowFiles: rows.firsts.length,
      recordFiles: records.firsts,
      leftOut,
    };
  }

  /** The record at a place; null when the bundle does not have it. */
  async #record(moment: Moment, n: number): Promise<BundledRecord | null> {
    const shown = this.#shown;
    const view = await shown.view(moment.table, n).catch(() => null);
    if (view === null || !this.#isWanted(view.line)) return null;
    const given = this.#recipes.of(shown);
    const {
      previous: _previous,
      next: _next,
      position: _position,
      matched: _matched,
      ...answer
    } = await recordAnswer(shown, given, moment, n, {});
    const bodies: BundledRecord["bodies"][number][] = [];
    for (let from = 0; from < view.hopCount; ) {
      const { hops } = view.bodies(from, view.hopCount);
      bodies.push(...hops);
      from += hops.length;
    }
    const prompts: BundledRecord["prompts"][number][] = [];
    const whole = given === null ? null : wholeOf(view);
    const roles = new Set<string>();
    for (const [hop, { role, model }] of answer.hops.entries()) {
      if (given === null || whole === null || prompts.length === PROMPTS_MAX) break;
      // Later hops of a role have much the same prompts.
      if (model === undefined || roles.size === roles.add(role).size) continue;
      prompts.push(await given.promptsOf(whole, hop));
    }
    const { attached } = await attachmentsOf(given, view);
    for (const { hash, content } of attached) await this.#attach(hash, content);
    const first = { ...answer.first, hops: [] };
    return withoutFolders(withoutCredentialsIn({ ...answer, first, bodies, prompts }));
  }

  #isWanted(line: string): boolean {
    const { filter } = this.#options;
    if (filter === null) return true;
    try {
      return filter(parseJson(line) as JsonObject) === true;
    } catch {
      return false;
    }
  }

  async #attach(hash: string | null, content: Buffer | null): Promise<void> {
    if (hash === null || content === null || this.#attached.has(hash)) return;
    this.#attached.add(hash);
    const { key } = this.#shown.run.found;
    await writeIn(this.#folder, `data/${key}/attachments/${hash}`, content);
  }
}

/** The comparisons of every pair of runs, in both orders. */
async function comparisonsOf(
  library: RunLibrary,
  runs: readonly BundledRun[],
): Promise<readonly CompareAnswer[]> {
  if (runs.length < 2 || runs.length > COMPARED_MAX) return [];
  const answers: CompareAnswer[] = [];
  for (const a of runs)
    for (const b of runs)
      if (a !== b) {
        const pair = [await comparedOf(library, a), await comparedOf(library, b)];
        answers.push(withoutFolders(withoutCredentialsIn(await compareAnswer(pair))));
      }
  return answers;
}

async function comparedOf(library: RunLibrary, { card: { key } }: BundledRun): Promise<Compared> {
  const shown = await library.run(key);
  if (shown === null) throw new MatrixError("storage_failed", `the run ${key} is gone`);
  const { table } = await shown.wholeMoment();
  return { shown, table, card: await openCard(library, shown, table) };
}

function countIn({ ok, failed, lost }: RunCard["counts"]): number {
  return ok + failed + lost;
}
