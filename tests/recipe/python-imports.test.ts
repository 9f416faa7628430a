// Imports of Python files: which of them are files of the program, whatever their form.

import { expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isPython, pythonImports } from "../../src/recipe/python-imports.ts";
import { withFolder } from "../parts/folder.ts";

const FILES = ["a.py", "b.py", "p/__init__.py", "p/c.py", "p/q/__init__.py", "p/q/d.py", "n/e.py"];

const importsOf = (source: string, from = "main.py") =>
  withFolder(async (folder) => {
    for (const name of FILES) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), "");
    }
    await mkdir(join(folder, "p/folder.py"), { recursive: true });
    return pythonImports(source, join(folder, from), folder).map((path) =>
      path.slice(folder.length + 1),
    );
  });

test.each([
  ["import a", ["a.py"]],
  ["import a, b as c", ["a.py", "b.py"]],
  ["import os, json, numpy as np", []],
  ["if True:\n    import a; import b", ["a.py", "b.py"]],
  ["try: import a\nexcept ImportError: from p import c", ["a.py", "p/__init__.py", "p/c.py"]],
  ["import p.q.d", ["p/__init__.py", "p/q/__init__.py", "p/q/d.py"]],
  ["import n.e", ["n/e.py"]],
  ["from p import c, name", ["p/__init__.py", "p/c.py"]],
  ["from p import (  # first\n  c,\n  name as other,\n)", ["p/__init__.py", "p/c.py"]],
  ["from p import \\\n  c", ["p/__init__.py", "p/c.py"]],
  ["from p import *", ["p/__init__.py"]],
  ["from p.q.d import f  # from p import c", ["p/__init__.py", "p/q/__init__.py", "p/q/d.py"]],
  ["import a\r\nimport b\r\n", ["a.py", "b.py"]],
  ["import a\nimport a", ["a.py"]],
  ["important = 1\nfrom_a = 2\n# import a", []],
  ["import p.folder", ["p/__init__.py"]],
])("%j brings %j", async (source, files) => {
  expect(await importsOf(source)).toEqual(files);
});

test.each([
  ["from . import c", "p/x.py", ["p/c.py"]],
  ["from .c import f", "p/x.py", ["p/c.py"]],
  ["from .q import d", "p/x.py", ["p/q/__init__.py", "p/q/d.py"]],
  ["from .. import c", "p/q/d.py", ["p/c.py"]],
  ["from ..c import f", "p/q/d.py", ["p/c.py"]],
  ["import a", "p/q/d.py", ["a.py"]],
])("%j in %s brings %j", async (source, from, files) => {
  expect(await importsOf(source, from)).toEqual(files);
});

test("a file of Python ends in .py", () => {
  expect(["a.py", "a.pyc", "py", "a.py.txt", "x.b.py"].filter(isPython)).toEqual([
    "a.py",
    "x.b.py",
  ]);
});
