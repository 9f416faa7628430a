// Routes about single records.

import type { Context, Hono } from "hono";
import {
  attachmentsOf,
  type Recipes,
  recordAnswer,
  trialsOf,
  wholeOf,
} from "../answers/record-answer.ts";
import type { HopsAnswer, PromptsAnswer, RecordAnswer, TrialsAnswer } from "../api.ts";
import { countOf, rowOf } from "../library/listing.ts";
import type { RunLibrary } from "../library/run-library.ts";
import type { Moment, ShownRun } from "../library/shown-run.ts";
import { spanAt } from "../record/outline.ts";
import type { RecordView } from "../record/record-view.ts";
import { NotFound } from "./failures.ts";
import { runOf } from "./run-routes.ts";

const RECORD = "/api/runs/:run/records/:id/:trial";
const HOPS_DEFAULT = 100;
/** Characters of a text that one answer has. */
const TEXT_CHARS_MAX = 4 * 2 ** 20;

interface Asked {
  readonly shown: ShownRun;
  readonly moment: Moment;
  readonly n: number;
}

export function addRecordRoutes(app: Hono, library: RunLibrary, recipes: Recipes): void {
  app.get(RECORD, async (context) => {
    const { shown, moment, n } = await askedFor(library, context);
    const given = recipes.of(shown);
    const answer = await recordAnswer(shown, given, moment, n, context.req.query());
    return context.json<RecordAnswer>(answer);
  });
  app.get(`${RECORD}/hops`, async (context) => {
    const view = await viewFor(library, context);
    const query = context.req.query();
    const [from, count] = [countOf(query, "from", 0), countOf(query, "count", HOPS_DEFAULT)];
    return context.json<HopsAnswer>(view.bodies(from, count));
  });
  app.get(`${RECORD}/prompts`, async (context) => {
    const { shown, moment, n } = await askedFor(library, context);
    const hop = countOf(context.req.query(), "hop", 0);
    const view = await shown.view(moment.table, n);
    return context.json<PromptsAnswer>(await promptsAnswer(recipes, shown, view, hop));
  });
  app.get(`${RECORD}/text`, async (context) => {
    const { line } = await viewFor(library, context);
    const query = context.req.query();
    const text = textAt(line, query["at"] ?? "");
    const from = countOf(query, "from", 0);
    const count = Math.min(countOf(query, "count", TEXT_CHARS_MAX), TEXT_CHARS_MAX);
    return context.text(text.slice(from, from + count), 200, {
      "x-total-chars": String(text.length),
    });
  });
  app.get(`${RECORD}/raw`, async (context) => {
    const { line } = await viewFor(library, context);
    const name = `${context.req.param("id")}-${context.req.param("trial")}.json`;
    return context.body(line, 200, {
      "content-type": "application/json",
      "content-disposition": `attachment; filename="${name.replaceAll(/[^\w.-]/g, "_")}"`,
    });
  });
  app.get(`${RECORD}/attachments/:hash`, async (context) => {
    const { shown, moment, n } = await askedFor(library, context);
    const view = await shown.view(moment.table, n);
    const { attached } = await attachmentsOf(recipes.of(shown), view);
    const found = attached.find(({ hash }) => hash === context.req.param("hash"));
    if (found?.content == null || found.type === null)
      throw new NotFound("no_part", "the record has no such attachment");
    return context.body(new Uint8Array(found.content), 200, { "content-type": found.type });
  });
  app.get("/api/runs/:run/rows/:id", async (context) => {
    const shown = await runOf(library, context.req.param("run"));
    const { table, said } = await shown.moment();
    const id = context.req.param("id");
    const trials: TrialsAnswer["trials"][number][] = [];
    for (const trial of await trialsOf(table, id)) {
      const n = await table.find(id, trial);
      if (n !== null) trials.push(await rowOf(table, n, said.get(n)));
    }
    if (trials.length === 0) throw new NotFound("no_record", `the run has no row ${id}`);
    return context.json<TrialsAnswer>({ id, trials });
  });
}

async function askedFor(library: RunLibrary, context: Context): Promise<Asked> {
  const shown = await runOf(library, context.req.param("run") ?? "");
  const moment = await shown.moment();
  const [id, trial] = [context.req.param("id") ?? "", Number(context.req.param("trial"))];
  const n = await moment.table.find(id, trial);
  if (n === null)
    throw new NotFound("no_record", `the run has no record of row ${id}, trial ${trial}`);
  return { shown, moment, n };
}

async function viewFor(library: RunLibrary, context: Context): Promise<RecordView> {
  const { shown, moment, n } = await askedFor(library, context);
  return shown.view(moment.table, n);
}

/** The text at a JSON pointer, or the JSON of another value. */
function textAt(line: string, pointer: string): string {
  const span = spanAt(line, pointer);
  if (span === null) throw new NotFound("no_part", `the record has nothing at ${pointer}`);
  const json = line.slice(span.from, span.to);
  if (!json.startsWith('"')) return json;
  return JSON.parse(json) as string;
}

async function promptsAnswer(
  recipes: Recipes,
  shown: ShownRun,
  view: RecordView,
  hop: number,
): Promise<PromptsAnswer> {
  const nothing = { hop, system: null, prompt: null, tools: [] };
  const record = wholeOf(view);
  const given = recipes.of(shown);
  if (given === null) return { ...nothing, problem: "a file of records has no recipe" };
  if (record === null)
    return { ...nothing, problem: "the record is too large to render its prompts again" };
  if (record.history[hop] === undefined)
    throw new NotFound("no_part", `the record has no hop ${hop}`);
  return given.promptsOf(record, hop);
}
