// `matrix metrics token`: the token that a scraper gets.

import { expect, test } from "bun:test";
import { metricsToken } from "../../src/http/proof.ts";
import { writeDriverFile } from "../../src/records/driver-file.ts";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";

const TOKEN = "0123456789abcdef0123456789abcdef";

test("the token of the metrics is made from the run's token, or that of its directory", () =>
  withFolder(async (folder) => {
    const told = await matrix(["metrics", "token"], { env: { MATRIX_TOKEN: TOKEN } });
    expect(told.stdout).toBe(`${metricsToken(TOKEN)}\n`);
    await writeDriverFile(folder, {
      ...{ format: "matrix-driver-1", url: "http://127.0.0.1:1", token: "other", run: "r" },
      ...{ driver: { pid: 1, machine: "m" }, hosts: [], workers: [] },
    });
    const found = await matrix(["metrics", "token", folder], { env: { MATRIX_TOKEN: TOKEN } });
    expect(found.stdout).toBe(`${metricsToken("other")}\n`);
  }));

test("without a token there is none of the metrics, and the error says what to set", () =>
  withFolder(async (folder) => {
    const none = await matrix(["metrics", "token"], { env: {} });
    expect([none.code, none.stdout]).toEqual([2, ""]);
    expect(none.stderr).toBe(
      "error: there is no token\nhint: set MATRIX_TOKEN or MATRIX_TOKEN_FILE, as for the run\n",
    );
    const gone = await matrix(["metrics", "token", folder], { env: { MATRIX_TOKEN: TOKEN } });
    expect(gone.stderr).toContain(`error: no run with hosts goes on in ${folder}\n`);
  }));
