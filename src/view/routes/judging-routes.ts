// Routes about what people say of records.

import type { Hono } from "hono";
import * as v from "valibot";
import { statedEntries, subjectEntries } from "../../records/annotations/annotation.ts";
import { agreementAnswer, THRESHOLD } from "../answers/agreement-answer.ts";
import { annotationsOf } from "../answers/record-answer.ts";
import type { AgreementAnswer, Annotated, Annotation, AnnotationsAnswer, Session } from "../api.ts";
import { rowOf } from "../library/listing.ts";
import type { RunLibrary } from "../library/run-library.ts";
import { BadQuery } from "../table/filter.ts";
import { NotFound } from "./failures.ts";
import { runOf } from "./run-routes.ts";

const BODY_BYTES_MAX = 256 * 1024;
const annotateSchema = v.strictObject({ ...subjectEntries, ...statedEntries });

export function addJudgingRoutes(app: Hono, library: RunLibrary, session: Session): void {
  app.get("/api/runs/:run/annotations", async (context) => {
    const shown = await runOf(library, context.req.param("run"));
    const { table, annotations } = await shown.moment();
    const attempts = await table.numbers("attempt");
    const listed: Annotation[] = [];
    for (const { attempt, ...annotation } of annotations) {
      const n = await table.find(annotation.id, annotation.trial);
      listed.push({ ...annotation, stale: n === null || attempts[n] !== attempt });
    }
    return context.json<AnnotationsAnswer>({
      annotations: listed,
      people: [...new Set(listed.map(({ who }) => who))].sort(),
      broken: shown.run.annotations?.broken ?? 0,
    });
  });
  app.post("/api/runs/:run/annotations", async (context) => {
    if (!session.canAnnotate) throw new BadQuery("this page takes no annotations");
    const shown = await runOf(library, context.req.param("run"));
    const { id, trial, ...stated } = parseBody(await context.req.text());
    const before = await shown.moment();
    const n = await before.table.find(id, trial);
    if (n === null)
      throw new NotFound("no_record", `there is no record of row ${id}, trial ${trial}`);
    const attempt = (await before.table.numbers("attempt"))[n] ?? 1;
    const at = new Date().toISOString();
    await shown.annotations.append([{ at, id, trial, attempt, ...stated }]);
    const after = await shown.moment();
    const said = annotationsOf(after, id, trial, attempt);
    const annotation = said.find(({ who }) => who === stated.who);
    if (annotation === undefined) throw new Error("bug: the annotation is not in its file");
    return context.json<Annotated>({
      annotation,
      row: await rowOf(after.table, n, after.said.get(n)),
    });
  });
  app.get("/api/runs/:run/agreement", async (context) => {
    const shown = await runOf(library, context.req.param("run"));
    const text = context.req.query("threshold") ?? "";
    const threshold = text === "" ? THRESHOLD : Number(text);
    if (Number.isNaN(threshold)) throw new BadQuery(`threshold: ${text} is not a number`);
    return context.json<AgreementAnswer>(await agreementAnswer(await shown.moment(), threshold));
  });
}

/** Fails with `BadQuery`. */
function parseBody(text: string): v.InferOutput<typeof annotateSchema> {
  if (text.length > BODY_BYTES_MAX) throw new BadQuery("the annotation is too large");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new BadQuery("the annotation is not JSON");
  }
  const result = v.safeParse(annotateSchema, value);
  if (!result.success) {
    const [issue] = result.issues;
    throw new BadQuery(`${v.getDotPath(issue) ?? "annotation"}: ${issue.message}`);
  }
  const { verdict, labels, comment } = result.output;
  if (verdict === undefined && labels === undefined && comment === undefined)
    throw new BadQuery("the annotation says nothing: it needs a verdict, labels or a comment");
  return result.output;
}
