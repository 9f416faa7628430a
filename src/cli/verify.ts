// `matrix verify DIR`: the accounting, from the files alone.

import { Command, Option } from "commander";
import { type Verification, verifyRun } from "../driver/verify.ts";
import { EXIT } from "../error.ts";

export function verifyCommand(): Command {
  return new Command("verify")
    .description("recompute the accounting of a run from its files alone (exit 0: it holds, 1: it does not, 3: the run is not finished)")
    .argument("<dir>", "the run directory")
    .addOption(new Option("--json", "one object on stdout").env("MATRIX_JSON"))
    .action(async (directory: string, { json = false }: { json?: boolean }) => {
      const verification = await verifyRun(directory);
      console.log(json ? JSON.stringify(jsonOf(verification)) : textOf(verification));
      process.exitCode = exitCodeOf(verification);
    });
}

function exitCodeOf({ findings, complete }: Verification): number {
  if (findings.length > 0) return EXIT.failedAbove;
  return complete ? EXIT.complete : EXIT.resumable;
}

function textOf({ manifest, counts, complete, findings, more }: Verification): string {
  const { ok, failed, lost } = counts;
  const { name, expected, simulated } = manifest;
  const lines = [`${name}${simulated ? " (simulated)" : ""}: expected ${expected} = ok ${ok} + failed ${failed} + lost ${lost}`];
  if (!complete)
    lines[0] = `${name}${simulated ? " (simulated)" : ""}: ${ok + failed + lost} of ${expected} recorded: ok ${ok} + failed ${failed} + lost ${lost}`;
  for (const { line, message } of findings) lines.push(line === null ? `wrong: ${message}` : `wrong: line ${line}: ${message}`);
  if (more > 0) lines.push(`and ${more} more`);
  if (findings.length === 0)
    lines.push(
      complete ? "verified: every row and trial has exactly one record" : "incomplete: the same `matrix drive` goes on where it stands",
    );
  return lines.join("\n");
}

function jsonOf({ manifest, counts, complete, findings, more }: Verification): object {
  const { name, expected, simulated, state } = manifest;
  return { name, state, simulated, expected, ...counts, complete, verified: findings.length === 0, findings, findings_not_listed: more };
}
