// `matrix report DIR` prints the rewards of a run by domain, and the usage of its roles and models.

import { Command } from "commander";
import { MatrixError } from "../error.ts";
import { readManifest } from "../records/manifest.ts";
import { readRecords } from "../records/read-records.ts";
import { printable } from "../task/printable.ts";
import { jsonOption } from "./flags.ts";
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
      for await (const records of readRecords(directory)) {
        for (const record of records) {
          rewards.add(record);
          usage.add(record);
        }
      }
      const { lines } = rewards;
      const text = json
        ? JSON.stringify({ name, simulated, domains: lines, ...usage.report })
        : `${renderRewards(name, simulated, lines)}\n\n${renderUsage(usage.report)}`;
      console.log(printable(text));
    });
}
