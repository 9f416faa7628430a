// The accounting of several run directories that are the shards of one run: each shard by itself,
// and all of them together.

import { recipeDifferences } from "../recipe/difference.ts";
import { IdSet } from "../task/id-set.ts";
import { shardOf, type Verification, type VerifyOptions, verifyRun } from "./verify.ts";

export interface VerifiedShard {
  readonly directory: string;
  readonly verification: Verification;
}

export interface ShardsVerification {
  readonly shards: readonly VerifiedShard[];
  /** Sums over the shards. */
  readonly expected: number;
  readonly counts: Verification["counts"];
  /** The number of different shards of the run that were given. */
  readonly givenCount: number;
  /** Shards of the run that were not given, such as "2/4": the first thousand of them. */
  readonly missing: readonly string[];
  /** The number of all shards that were not given. */
  readonly missingCount: number;
  /** True when every shard is given and every (row, trial) has its record. */
  readonly complete: boolean;
  /** Contradictions between the shards. */
  readonly findings: readonly string[];
}

/** Missing shards beyond this number are only counted. */
const MISSING_MAX = 1000;

/** Fails with `usage` when one of the directories is not a run directory. */
export async function verifyShards(
  directories: readonly string[],
  options: VerifyOptions = {},
): Promise<ShardsVerification> {
  const ids = new IdSet();
  const shards: VerifiedShard[] = [];
  for (const directory of directories)
    shards.push({ directory, verification: await verifyRun(directory, ids, options) });
  const sum = (of: (verification: Verification) => number) =>
    shards.reduce((total, { verification }) => total + of(verification), 0);
  const { givenCount, missing, missingCount, findings } = compareNumbers(shards);
  return {
    shards,
    expected: sum(({ manifest }) => manifest.expected),
    counts: {
      ok: sum(({ counts }) => counts.ok),
      failed: sum(({ counts }) => counts.failed),
      lost: sum(({ counts }) => counts.lost),
    },
    givenCount,
    missing,
    missingCount,
    complete: missingCount === 0 && shards.every(({ verification }) => verification.complete),
    findings: [...findings, ...compareRuns(shards)],
  };
}

/** Checks that all shards have the same count, and that each index is there once. */
function compareNumbers(
  shards: readonly VerifiedShard[],
): Pick<ShardsVerification, "givenCount" | "missing" | "missingCount" | "findings"> {
  const findings: string[] = [];
  const holders = new Map<number, string>();
  let first: { readonly directory: string; readonly count: number } | null = null;
  for (const { directory, verification } of shards) {
    const shard = shardOf(verification.manifest);
    if (shard === null) {
      findings.push(`${directory} is not a shard: its recipe has no dataset.shard`);
      continue;
    }
    const { index, count } = shard;
    first ??= { directory, count };
    if (count !== first.count) {
      findings.push(
        `${directory} is one of ${count} shards, but ${first.directory} is one of ${first.count}`,
      );
      continue;
    }
    const holder = holders.get(index);
    if (holder === undefined) holders.set(index, directory);
    else findings.push(`${holder} and ${directory} are both shard ${index}/${count}`);
  }
  const count = first?.count ?? 0;
  const missing: string[] = [];
  for (let index = 0; index < count && missing.length < MISSING_MAX; index++)
    if (!holders.has(index)) missing.push(`${index}/${count}`);
  const givenCount = [...holders.keys()].filter((index) => index < count).length;
  return { givenCount, missing, missingCount: count - givenCount, findings };
}

/**
 * Compares recipe and files of every shard with those of the first. Another shard number is no
 * difference.
 */
function compareRuns([first, ...others]: readonly VerifiedShard[]): string[] {
  if (first === undefined) return [];
  const { recipe, hashes } = first.verification.manifest;
  return others.flatMap(({ directory, verification: { manifest } }) => {
    const differences = recipeDifferences(recipe, manifest.recipe).filter(
      ({ key, kind }) => key !== "dataset.shard" && kind !== "free",
    );
    const shown = (value: unknown) => (value === undefined ? "unset" : JSON.stringify(value));
    return [
      ...differences.map(
        ({ key, before, now }) =>
          `${key} is ${shown(now)} in ${directory}, and ${shown(before)} in ${first.directory}`,
      ),
      ...Object.entries(manifest.hashes).flatMap(([file, hash]) =>
        hashes[file] === undefined || hashes[file] === hash
          ? []
          : [`${directory} had another ${file} than ${first.directory}`],
      ),
    ];
  });
}
