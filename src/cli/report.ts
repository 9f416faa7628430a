// `matrix report DIR` prints the rewards of a run by domain, and the usage of its roles and models.

import { Command } from "commander";
import { MatrixError } from "../error.ts";
import { type Manifest, readManifest } from "../records/manifest.ts";
import { readRecords } from "../records/read-records.ts";
import { CredentialCount } from "../task/credential-patterns.ts";
import { printable } from "../task/printable.ts";
import { jsonOption } from "./flags.ts";
import { renderCredentials } from "./text/credentials.ts";
import { grouped } from "./text/figures.ts";
import { RewardTally, renderRewards } from "./text/rewards.ts";
import { renderUsage, UsageTally } from "./text/usage.ts";

export function reportCommand(): Command {
  return new Command("report")
    .description(
      "print reward, pass^k and why tasks ended for each domain, and usage, cost and latency of each role and model",
    )
    .argument("<dir>", "the run directory")
    .addOption(jsonOption())
    .action(async (directory: string, { json = false }: { json?: boolean }) => {
      const manifest = await readManifest(directory);
      if (manifest === null)
        throw new MatrixError(
          "usage",
          `${directory} is not a run directory: it has no manifest.json`,
        );
      const { name, simulated, trials } = manifest;
      const rewards = new RewardTally(name, trials);
      const usage = new UsageTally();
      const credentials = new CredentialCount();
      const see = (line: string): void => credentials.look([[line]]);
      const counted = { ok: 0, failed: 0, lost: 0 };
      let isTorn = false;
      const seeTorn = (): void => {
        isTorn = true;
      };
      for await (const records of readRecords(directory, see, seeTorn)) {
        for (const record of records) {
          counted[record.status]++;
          rewards.add(record);
          usage.add(record);
        }
      }
      const { lines } = rewards;
      const { found } = credentials;
      const damage = damageOf(manifest, counted, isTorn);
      const more = { domains: lines, ...usage.report, credentials: found, damage };
      const parts = [renderRewards(name, simulated, lines), renderUsage(usage.report)];
      const told = renderCredentials(found);
      const text = [...parts, ...(told === null ? [] : [told])].join("\n\n");
      console.log(printable(json ? JSON.stringify({ name, simulated, ...more }) : text));
      for (const what of damage)
        console.error(printable(`warning: ${what}; matrix verify ${directory} says more`));
    });
}

/** Sentences that say why the report may not be that of the run. */
function damageOf(
  { state, ok, failed, lost }: Manifest,
  counted: { readonly ok: number; readonly failed: number; readonly lost: number },
  isTorn: boolean,
): readonly string[] {
  const torn = isTorn ? ["the last record is cut off and is not in the report"] : [];
  // The manifest of a run that goes on, or was killed, is behind its records.
  if (state === "running") return torn;
  const wrong = (["ok", "failed", "lost"] as const).filter(
    (status) => counted[status] !== { ok, failed, lost }[status],
  );
  if (wrong.length === 0) return torn;
  const list = (counts: typeof counted) =>
    wrong.map((status) => `${grouped(counts[status])} ${status}`).join(", ");
  return [
    ...torn,
    `the manifest counts ${list({ ok, failed, lost })}, and the records are ${list(counted)}`,
  ];
}
