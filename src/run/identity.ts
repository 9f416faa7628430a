// The identity of a run: what its manifest says of it, and what a continued run must agree with.

import { runtime } from "../platform.ts";
import type { RunIdentity } from "../records/manifest.ts";
import { version } from "../version.ts";
import type { Plan } from "./plan.ts";
import type { Replay } from "./replay/replay-source.ts";
import type { RunRows } from "./run-rows.ts";

export function identityOf(
  { loaded, hashes, models }: Plan,
  { expected, trials, seed, simulated, scan, replay }: RunRows,
): RunIdentity {
  const { recipe, resolved } = loaded;
  const prices = [...models.values()].find(({ priceSource }) => priceSource !== null)?.priceSource;
  return {
    name: recipe.name,
    expected,
    simulated,
    seed,
    trials,
    dataset: { rows: scan.rows, digest: scan.digest, ids_digest: scan.idsDigest },
    ...(replay === null ? {} : sourceOf(replay)),
    recipe: resolved,
    hashes,
    versions: {
      matrix: version,
      runtime: `${runtime.name} ${runtime.version}`,
      ...(prices == null ? {} : { prices }),
    },
  };
}

function sourceOf({ directory, wish: { ask, from } }: Replay) {
  return {
    replay: directory,
    ...(ask.length === 0 ? {} : { replay_ask: [...ask].sort() }),
    ...(from === null ? {} : { replay_from: from }),
  };
}
