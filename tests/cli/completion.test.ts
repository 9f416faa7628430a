// `matrix completion` and the hidden command behind it.

import { expect, test } from "bun:test";
import { SCRIPTS } from "../../src/cli/completion/scripts.ts";
import { matrix } from "../parts/program.ts";

/** The values for the last of the words. */
async function complete(...words: readonly string[]): Promise<readonly string[]> {
  const { stdout, stderr, code } = await matrix(["complete", "fish", "--", ...words]);
  expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
  return stdout === ""
    ? []
    : stdout
        .trimEnd()
        .split("\n")
        .map((line) => line.split("\t")[0] ?? "");
}

async function inBash(replaced: string, line: string): Promise<readonly string[]> {
  const { stdout } = await matrix(["complete", "bash", "--", replaced, line]);
  return stdout === "" ? [] : stdout.trimEnd().split("\n");
}

test.each(["bash", "zsh", "fish"] as const)(
  "matrix completion %s prints the script",
  async (shell) => {
    expect(await matrix(["completion", shell])).toEqual({
      code: 0,
      stderr: "",
      stdout: SCRIPTS[shell],
    });
  },
);

test("matrix completion refuses another shell and names those that it knows", async () => {
  const { code, stderr } = await matrix(["completion", "tcsh"]);
  expect(code).toBe(2);
  expect(stderr).toContain("Allowed choices are bash, zsh, fish.");
});

test("the command that shells ask is not in the help", async () => {
  expect((await matrix(["--help"])).stdout).not.toMatch(/^ {2}complete /m);
  expect((await matrix(["complet"])).stderr).not.toContain("complete\n");
});

test("the first word completes to commands, with their descriptions", async () => {
  expect(await complete("mod")).toEqual(["model"]);
  expect(await complete("ex")).toEqual(["export"]);
  expect(await complete("")).toContain("drive");
  expect(await complete()).toContain("drive");
  const { stdout } = await matrix(["complete", "zsh", "--", "mode"]);
  expect(stdout).toBe("model\tserve the simulated model\n");
});

test("commands of a command complete, and an unknown command completes to nothing", async () => {
  expect(await complete("sandbox", "")).toEqual(["check", "build", "ls", "gc"]);
  expect(await complete("sandbox", "b")).toEqual(["build"]);
  expect(await complete("sandbox", "what", "b")).toEqual([]);
  expect(await complete("constructor", "")).toEqual([]);
});

test("flags complete, and a flag that was given is not offered again", async () => {
  expect(await complete("verify", "--")).toEqual(["--json", "--full"]);
  expect(await complete("verify", "--json", "--")).toEqual(["--full"]);
  expect(await complete("show", "--sta")).toEqual(["--status"]);
  expect(await complete("show", "--", "--st")).toEqual([]);
});

test("values of a flag complete after a space and after =", async () => {
  expect(await complete("show", "runs/x", "--status", "")).toEqual(["ok", "failed", "lost"]);
  expect(await complete("show", "--status=f")).toEqual(["--status=failed"]);
  expect(await complete("export", "runs/x", "--to", "trl-k")).toEqual(["trl-kto"]);
  expect(await complete("completion", "z")).toEqual(["zsh"]);
});

test("a flag that takes no value leaves the next word to the arguments", async () => {
  expect(await complete("completion", "--", "f")).toEqual(["fish"]);
});

test("bash is given what follows the last = of a word, and words in quotes are one", async () => {
  expect(await inBash("f", "matrix show --status=f")).toEqual(["failed"]);
  expect(await inBash("--status=f", "matrix show --status=f")).toEqual(["--status=failed"]);
  expect(await inBash("f", "matrix show 'my run' --status f")).toEqual(["failed"]);
  expect(await inBash("sh", "matrix sh")).toEqual(["show"]);
  expect(await inBash("", "matrix ")).toContain("show");
});
