// `matrix ls [DIR…]` lists the runs below folders, with how far each is and what it cost.

import { existsSync } from "node:fs";
import { Command } from "commander";
import { maskedValue } from "../known-secrets.ts";
import { printable } from "../task/printable.ts";
import type { RunCard } from "../view/api.ts";
import { RunLibrary } from "../view/library/run-library.ts";
import { jsonOption } from "./flags.ts";
import { renderRuns } from "./text/runs.ts";

export function lsCommand(): Command {
  return new Command("ls")
    .description("list the runs below folders: state, progress, score, cost, model and age")
    .argument("[dir...]", "folders with run directories, or run directories (default: runs)")
    .addOption(jsonOption("print one object a line on stdout"))
    .action(async (given: readonly string[], { json = false }: { json?: boolean }) => {
      const places = given.length > 0 ? given : [existsSync("runs") ? "runs" : "."];
      const library = new RunLibrary(places, process.cwd());
      try {
        // The first look wants the scores, which stand in the records.
        await library.list();
        await library.cards.settled();
        const { runs, left } = await library.list();
        const text = json
          ? runs.map((run) => JSON.stringify(maskedValue(jsonOf(run)))).join("\n")
          : renderRuns(runs, Date.now());
        if (text !== "") console.log(printable(text));
        if (left > 0) console.error(`${left} folders were not looked into: name them`);
      } finally {
        await library.close();
      }
    });
}

function jsonOf(run: RunCard): object {
  const { ok, failed, lost } = run.counts;
  return {
    path: run.path,
    name: run.name,
    state: run.state,
    problem: run.problem,
    expected: run.expected,
    ...{ ok, failed, lost },
    score: run.score,
    cost: run.cost,
    tokens: run.tokens,
    models: run.models,
    orchestrator: run.orchestrator,
    started_at: run.startedAt,
    updated_at: run.updatedAt,
    simulated: run.simulated,
    bytes: run.bytes,
  };
}
