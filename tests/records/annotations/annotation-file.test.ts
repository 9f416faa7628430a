// annotations.jsonl: appended by several processes at once, read while it grows.

import { expect, test } from "bun:test";
import {
  appendFile,
  chmod,
  mkdir,
  readFile,
  stat,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import type { Statement } from "../../../src/records/annotations/annotation.ts";
import { AnnotationFile } from "../../../src/records/annotations/annotation-file.ts";
import { withFolder } from "../../parts/folder.ts";

const said = (more: Partial<Statement> = {}): Statement => ({
  at: "2026-11-24T00:00:00.000Z",
  who: "ann",
  id: "a",
  trial: 0,
  attempt: 1,
  verdict: "accepted",
  ...more,
});

test("a directory without the file has no annotations", () =>
  withFolder(async (folder) => {
    expect([...(await new AnnotationFile(folder).read())]).toEqual([]);
  }));

test("two servers that append at once lose no line, and each sees what the other wrote", () =>
  withFolder(async (folder) => {
    const [one, two] = [new AnnotationFile(folder), new AnnotationFile(folder)];
    const ids = Array.from({ length: 50 }, (_, n) => String(n));
    await Promise.all(
      ids.flatMap((id) => [
        one.append([said({ id })]),
        two.append([said({ id, who: "bob", verdict: "rejected" })]),
      ]),
    );
    for (const file of [one, two]) {
      const annotations = await file.read();
      for (const id of ids)
        expect(
          annotations
            .of(id, 0)
            .map(({ who, verdict }) => `${who} ${verdict}`)
            .sort(),
        ).toEqual(["ann accepted", "bob rejected"]);
      expect(file.broken).toBe(0);
    }
  }));

test("lines that were read once are not read again, and lines that were appended meanwhile are", () =>
  withFolder(async (folder) => {
    const file = new AnnotationFile(folder);
    await file.append([said()]);
    expect([...(await file.read())].length).toBe(1);
    await new AnnotationFile(folder).append([said({ id: "b" }), said({ id: "c" })]);
    expect([...(await file.read())].map(({ id }) => id)).toEqual(["a", "b", "c"]);
  }));

test("a line that was torn is left out, and the next one begins on a line of its own", () =>
  withFolder(async (folder) => {
    const file = new AnnotationFile(folder);
    await file.append([said()]);
    await appendFile(file.path, '{"format":"matrix-ann');
    expect([...(await file.read())].length).toBe(1);
    expect(file.broken).toBe(0);
    await file.append([said({ id: "b" })]);
    expect([...(await file.read())].map(({ id }) => id)).toEqual(["a", "b"]);
    expect(file.broken).toBe(1);
  }));

test("a file that was cut or replaced by hand is read anew", () =>
  withFolder(async (folder) => {
    const file = new AnnotationFile(folder);
    await file.append([said(), said({ id: "b" })]);
    await file.read();
    const { size } = await stat(file.path);
    await truncate(file.path, size / 2);
    expect([...(await file.read())].map(({ id }) => id)).toEqual(["a"]);
  }));

test("the file is closed to other users, unless the run directory is open to them", () =>
  withFolder(async (folder) => {
    const [closed, open] = [join(folder, "closed"), join(folder, "open")];
    for (const path of [closed, open]) await mkdir(path, { mode: 0o700 });
    await chmod(open, 0o770);
    const before = process.umask(0);
    try {
      for (const path of [closed, open]) await new AnnotationFile(path).append([said()]);
    } finally {
      process.umask(before);
    }
    const mode = async (path: string) => (await stat(join(path, "annotations.jsonl"))).mode & 0o777;
    expect(await mode(closed)).toBe(0o600);
    expect(await mode(open)).toBe(0o660);
  }));

test("a link in the place of the file is not followed", () =>
  withFolder(async (folder) => {
    const elsewhere = join(folder, "elsewhere");
    await writeFile(elsewhere, "");
    const run = join(folder, "run");
    await mkdir(run);
    await symlink(elsewhere, join(run, "annotations.jsonl"));
    const file = new AnnotationFile(run);
    await expect(file.append([said()])).rejects.toMatchObject({ code: "storage_failed" });
    await expect(file.read()).rejects.toMatchObject({ code: "storage_failed" });
    expect(await readFile(elsewhere, "utf8")).toBe("");
  }));

test("a folder in the place of the file is refused", () =>
  withFolder(async (folder) => {
    await mkdir(join(folder, "annotations.jsonl"));
    await expect(new AnnotationFile(folder).append([said()])).rejects.toMatchObject({
      code: "storage_failed",
    });
  }));

test("a server that is killed at any moment loses no line that it has acknowledged", () =>
  withFolder(async (folder) => {
    const source = new URL("../../../src/records/annotations/annotation-file.ts", import.meta.url);
    const script = `
      const { AnnotationFile } = await import(${JSON.stringify(source.href)});
      const file = new AnnotationFile(${JSON.stringify(folder)});
      for (let n = 0; ; n++) {
        const id = process.argv[1] + n;
        await file.append([{ at: "", who: "ann", id, trial: 0, attempt: 1, verdict: "accepted" }]);
        process.stdout.write(id + "\\n");
      }`;
    const servers = ["a", "b"].map((name) =>
      Bun.spawn([process.execPath, "-e", script, name], { stdout: "pipe", stderr: "inherit" }),
    );
    const acknowledged = await Promise.all(
      servers.map(async (server) => {
        let text = "";
        for await (const chunk of server.stdout) {
          text += Buffer.from(chunk).toString();
          // The rest of what it wrote is read after its end.
          if (text.length > 100) server.kill("SIGKILL");
        }
        return text.split("\n").slice(0, -1);
      }),
    );
    const kept = new Set([...(await new AnnotationFile(folder).read())].map(({ id }) => id));
    expect(acknowledged.every((ids) => ids.length > 10)).toBeTrue();
    expect(acknowledged.flat().filter((id) => !kept.has(id))).toEqual([]);
  }));
