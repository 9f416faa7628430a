// Routes that tell of changes as they happen, as server-sent events.

import type { Hono } from "hono";
import { streamSSE } from "hono/streaming";
import type { LiveDriver, LiveEvent, ScanEvent } from "../api.ts";
import type { RunLibrary } from "../library/run-library.ts";
import { StillOpening } from "../library/shown-run.ts";
import { LiveFeed } from "../live.ts";
import { wantsScan } from "../scan/scans.ts";
import { BadQuery } from "../table/filter.ts";
import { runOf } from "./run-routes.ts";

/** The time between two reports of progress. */
const TELL_MS = 200;
const LIVE_MS = 1000;

export function addStreamRoutes(
  app: Hono,
  library: RunLibrary,
  driver: (() => LiveDriver) | null,
): void {
  app.get("/api/runs/:run/scan", async (context) => {
    const query = context.req.query();
    if (!wantsScan(query)) throw new BadQuery("a scan needs where or q");
    const shown = await runOf(library, context.req.param("run"));
    const { table } = await shown.moment();
    const scan = await shown.scans.open(query, table, (signal) => shown.run.lines(signal));
    return streamSSE(context, async (stream) => {
      const leave = scan.watch();
      stream.onAbort(leave);
      let told = 0;
      const tell = async ({ event, data }: ScanEvent) =>
        stream.writeSSE({ event, data: JSON.stringify(data) });
      for (let state = "running"; state === "running" && !stream.aborted; ) {
        const { progress } = scan;
        for (; told < scan.hits.length; told++) {
          const hit = scan.hits[told];
          if (hit !== undefined) await tell({ event: "hit", data: hit });
        }
        await tell({ event: "progress", data: progress });
        state = progress.state;
        if (state === "running") await Promise.race([scan.done, stream.sleep(TELL_MS)]);
      }
      if (!stream.aborted) leave();
    });
  });
  app.get("/api/runs/:run/live", async (context) => {
    const shown = await runOf(library, context.req.param("run"));
    const feed = new LiveFeed(library, shown, driver);
    return streamSSE(context, async (stream) => {
      const tell = async ({ event, data }: LiveEvent) =>
        stream.writeSSE({ event, data: JSON.stringify(data) });
      while (!stream.aborted) {
        const live = await feed.next().catch((thrown: unknown) => {
          // The run is still being opened; the next look may have it.
          if (thrown instanceof StillOpening) return null;
          throw thrown;
        });
        if (live !== null) await tell({ event: "live", data: live });
        await stream.sleep(LIVE_MS);
      }
    });
  });
}
