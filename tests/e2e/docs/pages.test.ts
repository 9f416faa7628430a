// The README and every page of docs/ keep their word: their blocks run, their links lead somewhere,
// their files exist.

import { expect, test } from "bun:test";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import { ROOT } from "../../parts/repository.ts";
import { anchorsOf, exists, linksOf, readPages, spansOf } from "./page.ts";
import { play } from "./play.ts";

const PAGES = readPages();

for (const page of PAGES) {
  test(`every block of ${page.path} holds: files parse, recipes pass the check, commands run`, () =>
    play(page));
}

test("every link of the documentation leads to a page and a heading that exist", () => {
  const anchors = new Map(PAGES.map((page) => [page.path, anchorsOf(page)]));
  const broken = PAGES.flatMap((page) =>
    linksOf(page)
      .filter((link) => !/^(https?|mailto):/.test(link))
      .filter((link) => {
        const [path = "", anchor] = link.split("#");
        const target = targetOf(page.path, path);
        return !exists(target) || (anchor !== undefined && !anchors.get(target)?.has(anchor));
      })
      .map((link) => `${page.path}: ${link}`),
  );
  expect(broken).toEqual([]);
});

/** The site serves docs/public at its root. */
function targetOf(page: string, path: string): string {
  if (path === "") return page;
  return path.startsWith("/") ? join("docs/public", path) : normalize(join(dirname(page), path));
}

test("a page of the site links only to pages of the site and to the web", () => {
  const leading = PAGES.filter(({ path }) => path.startsWith("docs/")).flatMap((page) =>
    linksOf(page)
      .filter(
        (link) => !/^(https?|mailto):/.test(link) && !link.startsWith("/") && !link.startsWith("#"),
      )
      .filter((link) => !/\.md(#|$)/.test(link) || !targetOf(page.path, link).startsWith("docs/"))
      .map((link) => `${page.path}: ${link}`),
  );
  expect(leading).toEqual([]);
});

test("every file and folder of the project that the documentation names exists", () => {
  const missing = PAGES.flatMap((page) =>
    spansOf(page)
      .flatMap(
        (span) =>
          span.match(
            /^(?:\.\/)?((?:scripts|recipes|sandboxes|tests|src|docs|\.github)\/[\w./-]*)(?=$|[ :#])/,
          )?.[1] ?? [],
      )
      .filter((path) => !exists(path) && !path.includes("NAME"))
      .map((path) => `${page.path}: ${path}`),
  );
  expect(missing).toEqual([]);
});

test("every TypeScript block of the documentation fits the types of the package `matrix`", async () => {
  // Below the project, so that the package and its dependencies are found as in recipes/.
  const folder = join(ROOT, "dist/docs-blocks");
  await rm(folder, { recursive: true, force: true });
  const blocks = PAGES.flatMap(({ blocks }) => blocks).filter(
    ({ language, marks }) => language === "ts" && !marks.has("skip"),
  );
  for (const { page, line, text } of blocks) {
    const path = join(folder, page.replaceAll(/\W/g, "-"), `line-${line}.ts`);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
  await mkdir(folder, { recursive: true });
  await writeFile(
    join(folder, "tsconfig.json"),
    JSON.stringify({ extends: "../../tsconfig.json", include: ["**/*.ts", "../../src/**/*.d.ts"] }),
  );
  const child = Bun.spawnSync(["bun", "run", "--silent", "tsc", "-p", folder], { cwd: ROOT });
  expect(blocks.length === 0 || child.exitCode === 0 ? "" : String(child.stdout)).toBe("");
});
