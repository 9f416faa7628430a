// A static bundle in a real browser, from file:// and without a server.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { matrix } from "../../parts/binary.ts";
import { withFolder } from "../../parts/folder.ts";
import { DIALOGUE, said, writeRun } from "../../parts/run-directory.ts";
import { launchBrowser } from "./browser.ts";

const browser = await launchBrowser();

test.skipIf(browser === null)(
  "a bundle shows lists and records from file://, and runs no script of a record",
  () =>
    withFolder(async (folder) => {
      const attack =
        '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>';
      await writeRun(join(folder, "runs/one"), DIALOGUE, [
        { id: "first", score: 1, history: [["student", said(`The answer is 42. ${attack}`)]] },
        { id: "second", score: 0, history: [["student", said("No.")]] },
      ]);
      const { code, stderr } = await matrix(["view", "runs", "--bundle", "out"], { cwd: folder });
      expect([code, stderr]).toEqual([0, "1 runs, 2 records; known secrets are masked\n"]);
      const page = await (await browser?.newContext())?.newPage();
      if (page === undefined) throw new Error("no page");
      const faults: string[] = [];
      page.on("pageerror", (error) => faults.push(String(error)));
      await page.goto(pathToFileURL(join(folder, "out/index.html")).href);
      await page.getByText("static copy").waitFor();
      await page.getByRole("link", { name: "Records" }).first().click();
      await page.getByText("first", { exact: true }).first().click();
      await page.getByText("The answer is 42.").first().waitFor();
      expect(await page.title()).not.toContain("owned");
      expect(faults).toEqual([]);
      await browser?.close();
    }),
);
