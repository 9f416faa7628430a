// The path of a graph, and the interpreter of a program: both are read off a name.

import { expect, test } from "bun:test";
import { moveGraphPath, parseGraphPath } from "../../src/recipe/graph-path.ts";
import { interpreterOf } from "../../src/recipe/interpreter.ts";

test("a graph is the export after #, or else the default export", () => {
  expect(parseGraphPath("/a/graph.ts#build")).toEqual({ module: "/a/graph.ts", name: "build" });
  expect(parseGraphPath("/a#b/graph.ts#$x_1")).toEqual({ module: "/a#b/graph.ts", name: "$x_1" });
  expect(parseGraphPath("graph.ts")).toEqual({ module: "graph.ts", name: "default" });
  expect(parseGraphPath("gr#a-b.ts")).toEqual({ module: "gr#a-b.ts", name: "default" });
});

test("a moved graph keeps its export", () => {
  expect(moveGraphPath("a/graph.ts#build", "files/graph.ts")).toBe("files/graph.ts#build");
  expect(moveGraphPath("a/graph.ts", "files/graph.ts")).toBe("files/graph.ts");
  expect(moveGraphPath("a/graph.ts#default", "files/graph.ts")).toBe("files/graph.ts");
});

test("the ending of a program names its interpreter", () => {
  const names = ["a.py", "dir.d/a.mjs", "a.js", "a.sh", "a.test.py"];
  expect(names.map(interpreterOf)).toEqual([
    ["python3", "-u"],
    ["node"],
    ["node"],
    ["/bin/sh"],
    ["python3", "-u"],
  ]);
  for (const name of ["a.rb", "a", "dir.py/a", "", "a.py/"]) expect(interpreterOf(name)).toBe(null);
});
