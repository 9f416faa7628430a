// The pages as a site.

import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { withFolder } from "../../parts/folder.ts";
import { ROOT } from "../../parts/repository.ts";
import { readPages } from "./page.ts";

const BUILD_TIMEOUT_MS = 300_000;

test(
  "the site builds without a dead link, has every page, and loads nothing from other servers",
  () =>
    withFolder(async (folder) => {
      const command = ["bun", "run", "vitepress", "build", "docs", "--outDir", folder];
      const child = Bun.spawn(command, { cwd: ROOT, stdout: "pipe", stderr: "pipe" });
      const [code, stderr] = await Promise.all([child.exited, new Response(child.stderr).text()]);
      expect(code === 0 ? "" : stderr).toBe("");
      const built = readdirSync(folder, { recursive: true, encoding: "utf8" });
      const pages = readPages().filter(({ path }) => path.startsWith("docs/"));
      for (const { path } of pages)
        expect(built).toContain(path.replace("docs/", "").replace(".md", ".html"));
      for (const name of built.filter((each) => each.endsWith(".html"))) {
        const loaded = readFileSync(join(folder, name), "utf8").match(
          /<(?:link|script|img)[^>]+(?:href|src)="https?:[^"]+"/g,
        );
        expect(loaded).toBeNull();
      }
    }),
  BUILD_TIMEOUT_MS,
);
