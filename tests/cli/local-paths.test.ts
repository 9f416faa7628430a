// Addresses in place of paths of this machine, for every command.

import { expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";

test.each<[args: readonly string[], name: string]>([
  [["verify", "s3://b/run"], "DIR"],
  [["verify", "run", "s3://b/run"], "DIR"],
  [["report", "s3://b/run"], "DIR"],
  [["show", "s3://b/run"], "DIR"],
  [["export", "s3://b/run", "--to", "openai", "-o", "x.jsonl"], "DIR"],
  [["export", "run", "--to", "openai", "-o", "s3://b/run"], "--output"],
  [["drive", "s3://b/run"], "RECIPE"],
  [["check", "s3://b/run"], "RECIPE"],
  [["drive", "r.toml", "-o", "s3://b/run"], "--output"],
  [["check", "r.toml", "-o", "s3://b/run"], "--output"],
  [["drive", "r.toml", "--replay", "s3://b/run"], "--replay"],
  [["drive", "r.toml", "--dry-run", "--like", "s3://b/run"], "--like"],
  [["agent", "--role", "a", "--join", "s3://b/run"], "--join"],
  [["model", "serve", "--recipe", "s3://b/run"], "--recipe"],
])("matrix %j is refused, and makes no folder", (args, name) =>
  withFolder(async (folder) => {
    const { code, stderr } = await matrix(args, { cwd: folder });
    expect(stderr).toBe(
      `error: ${name}: s3://b/run is not a path on this machine\n` +
        "hint: matrix neither reads nor writes s3:// here; name a local path, and copy the files " +
        "with the tools of that storage\n",
    );
    expect(code).toBe(2);
    expect(await readdir(folder)).toEqual([]);
  }),
);
