// `matrix metrics token` prints the token with which a scraper reads /metrics.

import { Command } from "commander";
import { MatrixError } from "../error.ts";
import { metricsToken } from "../http/proof.ts";
import { readDriverFile } from "../records/driver-file.ts";
import { readToken } from "../run/join.ts";

export function metricsCommand(): Command {
  const command = new Command("metrics").description("scrape the metrics of a run");
  command
    .command("token")
    .description(
      "print the token that opens /metrics and nothing else, for the token of a run directory, or that of MATRIX_TOKEN",
    )
    .argument("[dir]", "the directory of a run that has hosts")
    .action(async (directory: string | undefined) => {
      const token =
        directory === undefined
          ? await readToken(process.env)
          : ((await readDriverFile(directory))?.token ?? null);
      if (token !== null) return console.log(metricsToken(token));
      throw new MatrixError(
        "usage",
        directory === undefined ? "there is no token" : `no run with hosts goes on in ${directory}`,
        { hint: "set MATRIX_TOKEN or MATRIX_TOKEN_FILE, as for the run" },
      );
    });
  return command;
}
