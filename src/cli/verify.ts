// `matrix verify DIR…` recomputes the accounting of a run from its files alone. Several directories
// are taken as the shards of one run.

import { Command, Option } from "commander";
import { EXIT } from "../error.ts";
import type { Shard } from "../recipe/unit.ts";
import { shardOf, type Verification, verifyRun } from "../records/verify.ts";
import { type ShardsVerification, verifyShards } from "../records/verify-shards.ts";
import { printable } from "../task/printable.ts";
import { jsonOption } from "./flags.ts";

/** Missing shards that are named; further ones are only counted. */
const MISSING_SHOWN = 10;

interface Flags {
  readonly json?: boolean;
  readonly full?: boolean;
}

export function verifyCommand(): Command {
  return new Command("verify")
    .description(
      "recompute the accounting of a run from its files alone (exit 0: it holds, 1: it does not, 3: unfinished)",
    )
    .argument("<dir...>", "the run directory, or the directories of all shards of a run")
    .addOption(jsonOption())
    .addOption(
      new Option(
        "--full",
        "parse every record, also those that a checksum shows to be as the run wrote them",
      ).env("MATRIX_FULL"),
    )
    .action(async (directories: readonly string[], { json = false, full = false }: Flags) => {
      const [directory = ""] = directories;
      if (directories.length === 1) {
        const verification = await verifyRun(directory, null, { full });
        const text = json ? JSON.stringify(jsonOf(verification)) : renderVerification(verification);
        console.log(printable(text));
        process.exitCode = exitCodeOf(verification.complete, isSound(verification));
      } else {
        const verification = await verifyShards(directories, { full });
        const text = json ? JSON.stringify(jsonOfShards(verification)) : renderShards(verification);
        console.log(printable(text));
        process.exitCode = exitCodeOf(verification.complete, areSound(verification));
      }
    });
}

function exitCodeOf(complete: boolean, sound: boolean): number {
  if (!sound) return EXIT.failedAbove;
  return complete ? EXIT.complete : EXIT.resumable;
}

function isSound({ findings }: Verification): boolean {
  return findings.length === 0;
}

function areSound({ shards, findings }: ShardsVerification): boolean {
  return findings.length === 0 && shards.every(({ verification }) => isSound(verification));
}

export function renderVerification(verification: Verification): string {
  const { manifest, complete } = verification;
  const shard = shardOf(manifest);
  const rows = shard === null ? "" : ` of shard ${shard.index}/${shard.count}`;
  const lines = [
    `${nameOf(manifest)}: ${accountOf(manifest.expected, verification.counts, complete)}`,
    ...findingsOf(verification),
  ];
  if (isSound(verification))
    lines.push(
      complete
        ? `verified: every row and trial${rows} has exactly one record${supersededOf(verification)}`
        : "incomplete: the same `matrix drive` goes on where it stands",
    );
  return [...lines, ...othersOf(shard)].join("\n");
}

/** The shards beside a single one, and how the whole run is verified. */
function othersOf(shard: Shard | null): string[] {
  if (shard === null || shard.count === 1) return [];
  const { index, count } = shard;
  const others = Math.min(count - 1, MISSING_SHOWN);
  const names = Array.from({ length: others }, (_, at) => `${at < index ? at : at + 1}/${count}`);
  return [
    `this is one of ${count} shards of the run; missing here: ${listed(names, count - 1)}`,
    `to verify the whole run: matrix verify with the directories of all ${count} shards`,
  ];
}

function listed(names: readonly string[], total: number): string {
  const shown = names.slice(0, MISSING_SHOWN);
  const more = total > shown.length ? ` and ${total - shown.length} more` : "";
  return shown.join(", ") + more;
}

function supersededOf({ superseded }: Verification): string {
  return superseded === 0 ? "" : `; retries moved ${superseded} older ones to superseded.jsonl`;
}

export function renderShards(verification: ShardsVerification): string {
  const { shards, expected, counts, complete, findings } = verification;
  const { missing, givenCount, missingCount } = verification;
  const lines = shards.flatMap(({ directory, verification }) => {
    const { manifest, counts, complete } = verification;
    const account = accountOf(manifest.expected, counts, complete);
    return [`${directory}: ${account}`, ...findingsOf(verification)];
  });
  for (const message of findings) lines.push(`wrong: ${message}`);
  if (missingCount > 0)
    lines.push(`missing: shard${missingCount === 1 ? "" : "s"} ${listed(missing, missingCount)}`);
  const [first] = shards;
  const name = first === undefined ? "" : nameOf(first.verification.manifest);
  const of = missingCount === 0 ? "" : ` in ${givenCount} of ${givenCount + missingCount} shards`;
  const finished = shards.every(({ verification }) => verification.complete);
  lines.push(`${name}: ${accountOf(expected, counts, finished)}${of}`);
  if (areSound(verification))
    lines.push(
      complete
        ? `verified: in ${shards.length} shards every row and trial has exactly one record`
        : "incomplete: the same `matrix drive` of each shard goes on where it stands",
    );
  return lines.join("\n");
}

function nameOf({ name, simulated }: Verification["manifest"]): string {
  return simulated ? `${name} (simulated)` : name;
}

function accountOf(
  expected: number,
  { ok, failed, lost }: Verification["counts"],
  complete: boolean,
): string {
  const parts = `ok ${ok} + failed ${failed} + lost ${lost}`;
  return complete
    ? `expected ${expected} = ${parts}`
    : `${ok + failed + lost} of ${expected} recorded: ${parts}`;
}

function findingsOf({ findings, more }: Verification): string[] {
  const lines = findings.map(({ line, message }) =>
    line === null ? `wrong: ${message}` : `wrong: line ${line}: ${message}`,
  );
  return more > 0 ? [...lines, `and ${more} more`] : lines;
}

function jsonOf(verification: Verification): object {
  const { manifest, counts, superseded, complete, findings, more } = verification;
  const { name, expected, simulated, state } = manifest;
  const shard = shardOf(manifest);
  return {
    name,
    state,
    simulated,
    shard: shard === null ? null : `${shard.index}/${shard.count}`,
    expected,
    ...counts,
    superseded,
    complete,
    verified: isSound(verification),
    findings,
    findings_not_listed: more,
  };
}

function jsonOfShards(verification: ShardsVerification): object {
  const { shards, expected, counts, missing, missingCount, complete, findings } = verification;
  return {
    expected,
    ...counts,
    complete,
    verified: areSound(verification),
    missing,
    missing_not_listed: missingCount - missing.length,
    findings,
    shards: shards.map(({ directory, verification }) => ({ directory, ...jsonOf(verification) })),
  };
}
