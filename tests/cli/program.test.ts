// The program: its commands, their help, usage errors and flags from the environment.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runProgram } from "../../src/cli/program.ts";
import { version } from "../../src/version.ts";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";
import { CORAL } from "../parts/repository.ts";

const COMMANDS = [
  ...["drive", "agent", "check", "verify", "show", "sandbox", "export", "report", "model"],
  ...["sandbox check", "sandbox build", "sandbox ls", "sandbox gc", "model serve"],
];

test.each(["--version", "-V"])("matrix %s prints version, commit and target", async (flag) => {
  const target = `${process.platform}-${process.arch}`;
  const stdout = `${version} (from source, ${target})\n`;
  expect(await matrix([flag])).toEqual({ code: 0, stdout, stderr: "" });
});

test.each(COMMANDS)("matrix %s --help prints the usage", async (command) => {
  const { code, stdout, stderr } = await matrix([...command.split(" "), "--help"]);
  expect(stdout).toStartWith(`Usage: matrix ${command} `);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
});

test("matrix --help lists the commands, and matrix alone prints the same", async () => {
  const { code, stdout } = await matrix(["--help"]);
  for (const command of COMMANDS.slice(0, 9)) expect(stdout).toContain(`\n  ${command} `);
  expect(code).toBe(0);
  expect((await matrix([])).stdout).toBe(stdout);
});

test("every option of every command can be set in the environment, and has a description", async () => {
  for (const command of COMMANDS) {
    const { stdout } = await matrix([...command.split(" "), "--help"]);
    const [, options = ""] = stdout.split("\nOptions:\n");
    const entries = options.split(/\n {2}(?=-)/).map((entry) => entry.replaceAll(/\s+/g, " "));
    for (const entry of entries.filter((text) => !/-h, --help/.test(text)))
      expect(`${command}: ${entry}`).toMatch(/env: MATRIX_[A-Z_]+\)/);
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

test.each([
  ["run", "drive"],
  ["start", "drive"],
  ["go", "drive"],
  ["validate", "check"],
  ["list", "ls"],
  ["serve", "model serve"],
])("matrix %s exits with 2 and names the command that was meant, %s", async (word, command) => {
  expect(await matrix([word, "x.toml"])).toEqual({
    code: 2,
    stdout: "",
    stderr: `error: unknown command '${word}'\nhint: did you mean "matrix ${command}"?\n`,
  });
});

test("the name of a property of every object is an unknown command like any other", async () => {
  const { code, stderr } = await matrix(["constructor", "x.toml"]);
  expect(code).toBe(2);
  expect(stderr).toStartWith("error: unknown command 'constructor'");
});

test("an error is printed with its hint and without control characters", async () => {
  const { code, stderr } = await matrix(["verify", "no\u001bwhere"]);
  expect(stderr).toStartWith("error: no\\u001bwhere is not a run directory");
  expect(code).toBe(2);
});

test("a bug is thrown", async () => {
  const { log } = console;
  console.log = () => {
    throw new TypeError("a bug");
  };
  try {
    await expect(runProgram(["--version"])).rejects.toThrow("a bug");
  } finally {
    console.log = log;
  }
});

test("the flags of drive are read from the environment", () =>
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

test("a secret of the environment is masked in an error, its problems and its hint", () =>
  withFolder(async (folder) => {
    const MY_API_KEY = "value-of-the-key-in-an-error";
    const verify = await matrix(["verify", MY_API_KEY], { env: { MY_API_KEY } });
    expect(verify.stderr).toContain("[MY_API_KEY] is not a run directory");
    const check = await matrix(["check", CORAL, `run.${MY_API_KEY}=1`], {
      cwd: folder,
      env: { MY_API_KEY },
    });
    expect(check.code).toBe(2);
    expect(`${verify.stderr}${check.stderr}`).not.toContain(MY_API_KEY);
    await writeFile(join(folder, `${MY_API_KEY}.toml`), "");
    const hint = await matrix(["check", "none.toml"], { cwd: folder, env: { MY_API_KEY } });
    expect(hint.stderr).toContain("[MY_API_KEY].toml");
  }));

test("a secret of the environment is masked in what check and drive print", () =>
  withFolder(async (folder) => {
    const MY_API_KEY = "value-of-the-key-in-a-row";
    await writeFile(join(folder, "d.jsonl"), `{"question":"${MY_API_KEY}"}\n`);
    const options = { cwd: folder, env: { MY_API_KEY } };
    const recipe = `name = "${MY_API_KEY}"
dataset.path = "d.jsonl"
models.m.kind = "simulated"
roles.a = { agent = "llm", model = "m", prompt = { text = "Q: {{ row.question }}" } }
orchestrator = { pattern = "sequence", roles = ["a"] }
`;
    await writeFile(join(folder, "r.toml"), recipe);
    for (const args of [
      ["check", "r.toml"],
      ["check", "r.toml", "--json"],
      ["drive", "r.toml", "--dry-run"],
      ["drive", "r.toml", "--dry-run", "--json"],
      ["drive", "r.toml", "-q", "-o", "out"],
      ["drive", "r.toml", "-q", "-o", "out", "--json"],
    ]) {
      const { code, stdout } = await matrix(args, options);
      expect({ args, code }).toEqual({ args, code: 0 });
      expect(stdout).toContain("[MY_API_KEY]");
      expect(stdout).not.toContain(MY_API_KEY);
    }
  }));
