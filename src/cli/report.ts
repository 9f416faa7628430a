// `matrix report DIR` prints the rewards of a run by domain, and the usage of its roles and models.

import { Command } from "commander";
import { MatrixError } from "../error.ts";
import { readManifest } from "../records/manifest.ts";
import { readRecords } from "../records/read-records.ts";
import { CredentialCount } from "../task/credential-patterns.ts";
import { printable } from "../task/printable.ts";
import { jsonOption } from "./flags.ts";
import { renderCredentials } from "./text/credentials.ts";
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
      for await (const records of readRecords(directory, see)) {
        for (const record of records) {
          rewards.add(record);
          usage.add(record);
        }
      }
      const { lines } = rewards;
      const { found } = credentials;
      const more = { domains: lines, ...usage.report, credentials: found };
      const parts = [renderRewards(name, simulated, lines), renderUsage(usage.report)];
      const told = renderCredentials(found);
      const text = [...parts, ...(told === null ? [] : [told])].join("\n\n");
      console.log(printable(json ? JSON.stringify({ name, simulated, ...more }) : text));
    });
}
