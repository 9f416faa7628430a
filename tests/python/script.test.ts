// Needs that a Python file states itself: nothing is installed unless the recipe allows it, and uv
// names the interpreter that has them. A program on the PATH plays uv here; an e2e test runs uv.

import { expect, test } from "bun:test";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { MatrixError } from "../../src/error.ts";
import { commandFor, statesNeeds } from "../../src/python/script.ts";
import { withFolder } from "../parts/folder.ts";

const NEEDS = '# /// script\n# requires-python = ">=3.9"\n#\n# dependencies = ["numpy"]\n# ///\n';

/** Runs with a folder as the whole PATH, beside the shell. `uv` is the body of the program. */
async function withUv(
  uv: string | null,
  use: (path: string, calls: () => Promise<string>) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const path = join(folder, "rule.py");
    const log = join(folder, "calls");
    await writeFile(path, `${NEEDS}import numpy\n`);
    await writeFile(log, "");
    const bin = join(folder, "bin");
    await mkdir(bin);
    if (uv !== null) {
      await writeFile(join(bin, "uv"), `#!/bin/sh\necho "$*" >>${log}\n${uv}\n`);
      await chmod(join(bin, "uv"), 0o755);
    }
    const before = process.env["PATH"];
    process.env["PATH"] = bin;
    try {
      await use(path, () => readFile(log, "utf8"));
    } finally {
      process.env["PATH"] = before;
    }
  });
}

test("a file states its needs in a block of script metadata, and nowhere else", () =>
  withFolder(async (folder) => {
    const states = async (text: string) => {
      await writeFile(join(folder, "a.py"), text);
      return statesNeeds(join(folder, "a.py"));
    };
    expect(await states(`"""Doc."""\n${NEEDS}import x\n`)).toBe(true);
    expect(await states(NEEDS.replaceAll("\n", "\r\n"))).toBe(true);
    expect(await states("# /// script\n# ///\n")).toBe(false);
    expect(await states(NEEDS.replace("script", "pyproject"))).toBe(false);
    expect(await states("# /// script\nimport x\n# ///\n")).toBe(false);
    expect(await states(`text = '''\n  ${NEEDS}'''\n`)).toBe(false);
    expect(await statesNeeds(join(folder, "no.py"))).toBe(false);
  }));

test("uv makes the environment of a file and names its interpreter", () =>
  withUv('[ "$1" = sync ] || echo /cache/env/bin/python', async (path, calls) => {
    expect(await commandFor(path, ["python3"], true)).toEqual(["/cache/env/bin/python"]);
    expect(await calls()).toBe(`sync --quiet --script ${path}\npython find --script ${path}\n`);
  }));

test("uv is not asked unless it is allowed, and not for a file that states no needs", () =>
  withUv("exit 1", async (path, calls) => {
    expect(await commandFor(path, ["p", "-X"], false)).toEqual(["p", "-X"]);
    await writeFile(path, "import numpy\n");
    expect(await commandFor(path, ["p", "-X"], true)).toEqual(["p", "-X"]);
    expect(await calls()).toBe("");
  }));

test("uv that is missing, and uv that fails, are problems of the file", async () => {
  await withUv(null, async (path) => {
    const error = (await commandFor(path, ["p"], true).catch((thrown) => thrown)) as MatrixError;
    expect(error).toMatchObject({
      code: "module_invalid",
      message: `${path} states its needs, and uv is missing`,
      hint: expect.stringContaining("pip install uv"),
    });
  });
  await withUv("echo 'no such package: numpyy' >&2; exit 2", async (path) => {
    await expect(commandFor(path, ["p"], true)).rejects.toMatchObject({
      code: "module_invalid",
      message: `uv cannot install what ${path} needs: no such package: numpyy`,
    });
  });
});
