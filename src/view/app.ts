// The server of `matrix view`: the contract of src/view/api.ts over the runs of a library, and the
// files of the page.

import { Hono } from "hono";
import { Recipes } from "./answers/record-answer.ts";
import type { Failure, LiveDriver, Session } from "./api.ts";
import { requireSameOrigin, requireToken, safeHeaders } from "./guard.ts";
import type { RunLibrary } from "./library/run-library.ts";
import type { PageFiles } from "./page-files.ts";
import { failureOf } from "./routes/failures.ts";
import { addJudgingRoutes } from "./routes/judging-routes.ts";
import { addRecordRoutes } from "./routes/record-routes.ts";
import { addRunRoutes } from "./routes/run-routes.ts";
import { addStreamRoutes } from "./routes/stream-routes.ts";

export interface ViewOptions {
  readonly library: RunLibrary;
  readonly session: Session;
  /** The files of the page. */
  readonly page: PageFiles;
  /** The token that requests need; null on loopback. */
  readonly token: string | null;
  /** The driver of the only run; null where files alone tell. */
  readonly driver: (() => LiveDriver) | null;
}

export function createViewApp(options: ViewOptions): Hono {
  const { library, session, page, token, driver } = options;
  const app = new Hono();
  app.use(safeHeaders());
  if (token !== null) app.use(requireToken(token));
  app.use("/api/*", requireSameOrigin());
  app.get("/api/session", (context) => context.json(session));
  const recipes = new Recipes();
  addRunRoutes(app, library);
  addRecordRoutes(app, library, recipes);
  addJudgingRoutes(app, library, session);
  addStreamRoutes(app, library, driver);
  app.all("/api/*", (context) =>
    context.json<Failure>({ code: "no_path", message: `there is no ${context.req.path}` }, 404),
  );
  app.get("*", (context) => {
    const { path } = context.req;
    const file = page.get(path === "/" ? "index.html" : path.slice(1));
    if (file === undefined) return context.text(`there is no ${path}`, 404);
    const headers = { "content-type": file.type, "content-encoding": "gzip" };
    return context.body(file.gzip, 200, headers);
  });
  app.onError((thrown, context) => {
    const { status, failure } = failureOf(thrown);
    return context.json(failure, status);
  });
  return app;
}
