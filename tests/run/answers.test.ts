// The answers of models that a process keeps, and their place.

import { expect, test } from "bun:test";
import { appendFile, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { loadRecipe } from "../../src/recipe/load.ts";
import { checkCache, openAnswers, wantsJournal } from "../../src/run/answers.ts";
import { withFolder } from "../parts/folder.ts";
import { withForeignFolder } from "../parts/foreign-folder.ts";
import { keptLog } from "../parts/kept-log.ts";
import { writeSmallRun } from "./small-run.ts";

const load = async (folder: string, ...overrides: readonly string[]) =>
  loadRecipe(await writeSmallRun(folder), { overrides, env: {}, cwd: folder });
const SERVED = 'models.s={kind="openai", model="x", base_url="http://127.0.0.1:9/v1"}';

const isWriting = () => false;

test("a journal is kept when any model of the recipe keeps one", () =>
  withFolder(async (folder) => {
    const wanted = async (...overrides: readonly string[]) =>
      wantsJournal((await load(folder, ...overrides)).recipe);
    expect(await wanted()).toBe(false);
    expect(await wanted(SERVED)).toBe(true);
    expect(await wanted("models.m.journal=true")).toBe(true);
  }));

test("a cache may be a folder that is still to be made, and no folder is made to find out", () =>
  withFolder(async (folder) => {
    await checkCache(await load(folder));
    await checkCache(await load(folder, "run.cache=a/b/c"));
    await mkdir(join(folder, "there"));
    await checkCache(await load(folder, "run.cache=there"));
    expect(await readdir(folder)).not.toContain("a");
  }));

test("a cache in a file is refused, with the key and what to do", () =>
  withFolder(async (folder) => {
    const refused = async (cache: string) =>
      expect(checkCache(await load(folder, `run.cache=${cache}`))).rejects.toMatchObject({
        code: "recipe_invalid",
        message: "answers cannot be kept in run.cache",
        problems: [
          {
            key: "run.cache",
            message: `${join(folder, "rows.jsonl")} is not a folder: name a folder that can be written to`,
          },
        ],
      });
    await refused("rows.jsonl");
    await refused("rows.jsonl/below");
  }));

test("a cache of another user is refused before the run", () =>
  withFolder((folder) =>
    withForeignFolder(async (theirs, uid) => {
      const checked = checkCache(await load(folder, `run.cache=${theirs}`));
      const why = `${theirs} is not this user's alone: it belongs to user ${uid}`;
      if (process.getuid?.() === 0)
        await expect(checked).rejects.toMatchObject({
          problems: [{ key: "run.cache", message: `${why}: name a folder that can be written to` }],
        });
      else await expect(checked).rejects.toMatchObject({ code: "recipe_invalid" });
    }),
  ));

test("journal and cache are opened where the run directory and the recipe say", () =>
  withFolder(async (folder) => {
    const { log, lines } = keptLog();
    const { recipe } = await load(folder, SERVED, "run.cache=cache");
    const kept = await openAnswers(recipe, { directory: folder, writer: "me", isWriting }, log);
    expect([kept.journal === null, kept.cache === null]).toEqual([false, false]);
    expect(await readdir(folder)).toContain("journal");
    kept.windows?.note("m", "http://a/v1", 7);
    await kept.close();
    expect(lines).toEqual([]);
    const again = await openAnswers(recipe, { directory: folder, writer: "you", isWriting }, log);
    expect(again.windows?.find("m", "http://a/v1")).toBe(7);
    await again.close();
  }));

test("nothing is kept for models that want no journal, without a cache, or by a process that asks none", () =>
  withFolder(async (folder) => {
    const { log, lines } = keptLog();
    const place = { directory: folder, writer: "me", isWriting };
    const plain = (await load(folder)).recipe;
    const served = (await load(folder, SERVED, "run.cache=cache")).recipe;
    for (const kept of [
      await openAnswers(plain, place, log),
      await openAnswers(served, null, log),
    ]) {
      expect([kept.journal, kept.cache]).toEqual([null, null]);
      if (kept.windows !== null) expect(kept.windows.find("m", "http://a/v1")).toBeNull();
      await kept.close();
    }
    expect(lines).toEqual([]);
    expect(await readdir(folder)).not.toContain("journal");
  }));

test("a host that cannot reach the run directory keeps no journal, says so, and has the cache", () =>
  withFolder(async (folder) => {
    const { log, lines } = keptLog();
    const { recipe } = await load(folder, SERVED, "run.cache=cache");
    const kept = await openAnswers(recipe, { directory: null, writer: "me", isWriting }, log);
    expect([kept.journal, kept.cache === null]).toEqual([null, false]);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toStartWith(
      "info this host joined by URL and cannot reach the run directory: it keeps no journal",
    );
    await kept.close();
  }));

test("a journal or a cache that cannot be opened is left out, and the log says why", () =>
  withFolder(async (folder) => {
    const { log, lines } = keptLog();
    const { recipe } = await load(folder, SERVED, "run.cache=cache");
    for (const name of ["journal", "cache"]) await writeFile(join(folder, name), "a file");
    const kept = await openAnswers(recipe, { directory: folder, writer: "me", isWriting }, log);
    expect([kept.journal, kept.cache]).toEqual([null, null]);
    for (const [index, use] of ["journal", "cache"].entries())
      expect(lines[index]).toStartWith(
        `warning the ${use} cannot be opened: answers are not kept there {"folder":"${join(folder, use)}"`,
      );
    await kept.close();
  }));

test("the log names the segment of a journal that has a damaged line", () =>
  withFolder(async (folder) => {
    const { log, lines } = keptLog();
    const { recipe } = await load(folder, SERVED);
    const place = { directory: folder, writer: "me", isWriting };
    const first = await openAnswers(recipe, place, log);
    const request = { messages: [], seed: 1, sampling: {}, origin: null };
    const usage = { requests: 1, prompt_tokens: 1, completion_tokens: 1 };
    const message = { role: "assistant", content: "yes" } as const;
    await first.journal?.keep("s", request, { message, finishReason: "stop", usage });
    await first.close();
    const journal = join(folder, "journal");
    const names = (await readdir(journal)).filter((name) => name.endsWith(".jsonl"));
    for (const name of names) await appendFile(join(journal, name), "no JSON\n");
    const again = await openAnswers(recipe, { ...place, writer: "next" }, log);
    expect(await again.journal?.find("s", { ...request, seed: 2 })).toBeNull();
    await again.close();
    expect(names).not.toEqual([]);
    const segments = names.length;
    expect(lines).toHaveLength(segments);
    expect(lines[0]).toStartWith(
      "warning the journal has a line that is not an answer; it is skipped {",
    );
  }));

test("before an answer goes to the journal the driver confirms its lock, and the cache needs no lock", () =>
  withFolder(async (folder) => {
    const { log } = keptLog();
    const { recipe } = await load(folder, SERVED, "run.cache=cache");
    let confirmed = 0;
    const confirm = async () => void confirmed++;
    const kept = await openAnswers(
      recipe,
      { directory: folder, writer: "me", isWriting, confirm },
      log,
    );
    const request = { messages: [], seed: 1, sampling: {}, origin: null };
    const usage = { requests: 1, prompt_tokens: 1, completion_tokens: 1 };
    const message = { role: "assistant", content: "yes" } as const;
    const answer = { message, finishReason: "stop", usage } as const;
    await kept.cache?.keep("s", request, answer);
    expect(confirmed).toBe(0);
    await kept.journal?.keep("s", request, answer);
    expect(confirmed).toBe(1);
    await kept.close();
  }));
