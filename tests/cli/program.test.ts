// The command line of the binary: help, misspelt words, flags from the environment.

import { expect, test } from "bun:test";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";
import { CORAL } from "../parts/repository.ts";

test("matrix --version prints the version, and every command prints its help", async () => {
  expect((await matrix(["--version"])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  for (const command of [
    ["drive"],
    ["check"],
    ["verify"],
    ["show"],
    ["model"],
    ["model", "serve"],
  ]) {
    const { code, stdout } = await matrix([...command, "--help"]);
    expect(stdout).toStartWith(`Usage: matrix ${command.join(" ")}`);
    expect(code).toBe(0);
  }
});

test("a misspelt command or flag exits with 2 and suggests the nearest one", async () => {
  const command = await matrix(["driv", "x"]);
  expect(command.stderr).toContain("Did you mean drive?");
  const flag = await matrix(["drive", CORAL, "--trails", "3"]);
  expect(flag.stderr).toContain("Did you mean --trials?");
  const value = await matrix(["drive", CORAL, "-n", "many"]);
  expect(value.stderr).toContain("It must be a whole number.");
  expect([command.code, flag.code, value.code]).toEqual([2, 2, 2]);
});

test("every flag of drive can be set in the environment", () =>
  withFolder(async (folder) => {
    const env = {
      MATRIX_OUTPUT: "here",
      MATRIX_LIMIT: "3",
      MATRIX_TRIALS: "2",
      MATRIX_SEED: "9",
      MATRIX_CONCURRENCY: "2",
      MATRIX_JSON: "1",
      MATRIX_QUIET: "1",
    };
    const { stdout } = await matrix(["drive", CORAL, 'models.speaker.latency="1ms"'], {
      cwd: folder,
      env,
    });
    expect(JSON.parse(stdout)).toMatchObject({
      state: "complete",
      expected: 6,
      ok: 6,
      directory: expect.stringContaining("/here"),
    });
  }));
