// The web page in a real browser, over a server of the binary and runs that it has made.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import axe from "axe-core";
import type { Browser, Page } from "playwright-core";
import type { RunsAnswer } from "../../../src/view/api.ts";
import { BINARY, matrix } from "../../parts/binary.ts";
import { ROOT } from "../../parts/repository.ts";
import { until } from "../../parts/until.ts";
import { type Look, launchBrowser, openPage, settled } from "./browser.ts";
import { hostileRecords, LONG_HOPS, manyRecords, SCRIPT_ID } from "./hostile.ts";

const MANY = 20_000;
const WIDE: Look = { width: 1280, theme: "light" };
const PHONE: Look = { width: 390, theme: "dark" };

const browser = await launchBrowser();
const folder = mkdtempSync(join(tmpdir(), "matrix-page-"));
const keys = new Map<string, string>();
let url = "";
const stops: (() => Promise<unknown>)[] = [];

describe.skipIf(browser === null)("the page", () => {
  beforeAll(async () => {
    await makeRuns();
    const places = ["runs", "many.jsonl", "hostile.jsonl"];
    url = await started(["view", ...places, "--listen=127.0.0.1:0", "--who=ada"]);
    const answer: RunsAnswer = await (await fetch(`${url}api/runs`)).json();
    for (const { key, path } of answer.runs) keys.set(path, key);
  });

  afterAll(async () => {
    await browser?.close();
    await Promise.all(stops.map((stop) => stop()));
    await rm(folder, { recursive: true, force: true });
  });

  const open = (path: string, look?: Look) => openPage(browser as Browser, `${url}#${path}`, look);
  const run = (path: string, rest = "") => `/run/${keys.get(path)}${rest}`;

  const views = (): Record<string, string> => ({
    runs: `/?choose=${keys.get("runs/tour")}`,
    comparison: `/compare?runs=${keys.get("runs/tour")},${keys.get("runs/other")}`,
    finished: run("runs/tour"),
    records: run("runs/tour", "/records?sort=tokens&desc=1"),
    search: run("runs/tour", "/records?q=telescopes&where=score+%3E+0.5"),
    errors: run("runs/tour", "/errors"),
    people: run("runs/tour", "/people"),
    recipe: run("runs/tour", "/recipe"),
    trajectory: run("runs/tour", "/record/0/0"),
    failed: run("runs/tour", "/record/7/0"),
    trials: run("runs/tour", "/row/2?a=0&b=1"),
    live: run("runs/live", "/live"),
    broken: run("runs/broken"),
    empty: run("runs/empty"),
    many: run("many.jsonl", "/records"),
    hostile: run("hostile.jsonl", `/record/${encodeURIComponent(SCRIPT_ID)}/0`),
    nothing: run("many.jsonl", "/records?id=no-such-row"),
  });

  for (const look of [WIDE, PHONE]) {
    test(`every view at ${look.width} pixels, ${look.theme}, has no error and axe finds nothing`, async () => {
      const found: Record<string, unknown> = {};
      const left = Object.entries(views());
      const visit = async (): Promise<void> => {
        const next = left.shift();
        if (next === undefined) return;
        const [name, path] = next;
        const { page, faults, foreign, close } = await open(path, look);
        await settled(page);
        const axe = await violations(page);
        const { shift, excess } = await page.evaluate(() => ({
          shift: (globalThis as { layoutShift?: number }).layoutShift ?? 0,
          excess: document.documentElement.scrollWidth - innerWidth,
        }));
        // The page itself never scrolls sideways, and moves nothing while it loads.
        if (faults.length + foreign.length + axe.length > 0 || excess > 0 || shift > 0.1)
          found[name] = { faults, foreign, axe, excess, shift };
        await close();
        return visit();
      };
      await Promise.all([visit(), visit(), visit()]);
      expect(found).toEqual({});
    });
  }

  test("what records say never runs, and nothing is loaded from elsewhere", async () => {
    for (const id of [SCRIPT_ID, "signs", "formulas", "deep", "no-steps"]) {
      const path = run("hostile.jsonl", `/record/${encodeURIComponent(id)}/0`);
      const { page, faults, foreign, close } = await open(path);
      await settled(page);
      for (const part of await page.locator("details.part > summary").all()) await part.click();
      const state = await page.evaluate(() => ({
        attacked: "attacked" in globalThis,
        made: document.querySelectorAll("main :is(script, iframe, object, embed, base, style)")
          .length,
        links: [...document.querySelectorAll<HTMLAnchorElement>("main .rich-text a")].map(
          ({ protocol, rel }) => `${protocol} ${rel}`,
        ),
      }));
      expect([id, state.attacked, state.made]).toEqual([id, false, 0]);
      for (const link of state.links) expect(link).toBe("https: noopener noreferrer nofollow");
      expect([id, faults, foreign]).toEqual([id, [], []]);
      await close();
    }
  });

  test("signs that a screen hides are shown by their names", async () => {
    const { page, close } = await open(run("hostile.jsonl", "/record/signs/0"));
    await settled(page);
    const names = await page.locator(".hop .hidden-character").allTextContents();
    expect(names).toEqual(["ESC", "BEL", "U+202E", "U+202C"]);
    await close();
  });

  test("a link shows the same records, and the way back from a record leads to its row", async () => {
    const first = await open(run("runs/tour", "/records"));
    await settled(first.page);
    await first.page.getByRole("button", { name: /^failed/ }).click();
    await first.page.getByRole("button", { name: "Tokens" }).click();
    await first.page.locator(".grid-table:not(.is-stale) [aria-sort=ascending]").waitFor();
    await first.page.getByText("6 of 60 records").waitFor();
    const shown = (page: Page) => page.locator(".row-link").allTextContents();
    const rows = await shown(first.page);
    expect(rows.toSorted()).toEqual(["16", "16", "16", "7", "7", "7"]);

    const second = await openPage(browser as Browser, first.page.url());
    await second.page.getByText("6 of 60 records").waitFor();
    expect(await shown(second.page)).toEqual(rows);

    for (const key of ["j", "j", "j", "l"]) await second.page.keyboard.press(key);
    await second.page.getByText("3 / 6").waitFor();
    expect(await second.page.locator("h1").textContent()).toStartWith(rows[2] ?? "");
    await second.page.keyboard.press("h");
    await second.page.getByText("2 / 6").waitFor();
    await second.page.keyboard.press("u");
    await second.page.getByText("6 of 60 records").waitFor();
    await Promise.all([first.close(), second.close()]);
  });

  test("a search shows its progress and its matches, and an expression that is wrong says why", async () => {
    const { page, close } = await open(run("runs/tour", "/records"));
    await settled(page);
    await page.keyboard.press("/");
    await page.keyboard.type("residue modulo");
    await page.keyboard.press("Enter");
    await page.locator(".snippet mark").first().waitFor();
    expect(await page.locator(".snippet mark").first().textContent()).toBe("residue modulo");
    await page.getByText("15 of 60 records").waitFor();
    await page.getByLabel("CEL expression").fill('score == 1.0 && row.topic == "numbers"');
    await page.keyboard.press("Enter");
    await page.getByText(/^\d of 60 records$/).waitFor();
    await page.getByLabel("CEL expression").fill("score >");
    await page.keyboard.press("Enter");
    expect(await page.locator(".scan-problem").textContent()).toContain("does not parse");
    await close();
  });

  test("a list of many records draws only what is on the screen, wherever it is scrolled to", async () => {
    const { page, close } = await open(run("many.jsonl", "/records"));
    await settled(page);
    await page.getByText("20,000 records").waitFor();
    const drawn = () => page.locator(".grid-body .grid-row").count();
    expect(await drawn()).toBeLessThan(80);
    await page.locator(".grid-table").evaluate((table) => {
      table.scrollTop = table.scrollHeight;
    });
    await page.getByText(`row-${MANY - 1}`, { exact: true }).waitFor();
    expect(await drawn()).toBeLessThan(80);
    await close();
  });

  test("a record of 32,000 steps opens at the step of its link, and draws only what is on the screen", async () => {
    const { page, close } = await open(run("hostile.jsonl", "/record/long/0?hop=20000"));
    await page.getByText("Message 20000:").waitFor();
    expect(await page.locator(".hop").count()).toBeLessThan(60);
    expect(await page.locator(".lanes rect").count()).toBeLessThan(4000);
    await page.keyboard.press("j");
    await page.locator(".hop.is-at", { hasText: "Message 20001:" }).waitFor();
    await page.locator(".conversation").evaluate((scroller) => {
      scroller.scrollTop = scroller.scrollHeight;
    });
    await page.getByLabel(`Step ${LONG_HOPS - 1}, judge`).waitFor();
    await close();
  });

  test("a message of ten megabytes is cut short, folded, and can be saved as a whole", async () => {
    const { page, close } = await open(run("hostile.jsonl", "/record/ten-megabytes/0"));
    await settled(page);
    expect(await page.locator(".fold:not(.is-open)").count()).toBe(1);
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "Save all of it" }).click();
    const { size } = await stat(await (await download).path());
    expect(size).toBe(10_000_000);
    await close();
  });

  test("formulas, code, tools, reasoning, prompts and images of a trajectory are shown", async () => {
    const { page, close } = await open(run("runs/tour", "/record/0/0"));
    await settled(page);
    await page.locator("img[alt='what solver was shown']").waitFor();
    expect(
      await page
        .locator("img[alt='what solver was shown']")
        .evaluate((image) => (image as HTMLImageElement).naturalWidth),
    ).toBe(96);
    expect(await page.locator(".members .katex").count()).toBeGreaterThan(0);
    await page.locator("summary", { hasText: "Reasoning" }).first().click();
    await page.getByText("The user asks for a closed form.").first().waitFor();
    await page.locator("summary", { hasText: "calculator" }).first().click();
    await page.locator(".code .hljs-attr", { hasText: '"expression"' }).first().waitFor();
    await page.locator("summary", { hasText: "Prompt" }).first().click();
    await page.getByText("You are a careful mathematician.").first().waitFor();
    await close();
  });

  test("the error of a failed task is shown with its stack", async () => {
    const { page, close } = await open(run("runs/tour", "/record/7/0"));
    await settled(page);
    await page.keyboard.press("e");
    await page.locator(".ending").waitFor();
    await page.getByText("Stack", { exact: true }).click();
    expect(await page.locator(".stack pre").textContent()).toContain("tools.ts");
    expect(await page.locator(".ending").textContent()).toContain("agent_failed in tools");
    await close();
  });

  test("two people judge by keys, and each sees what the other said", async () => {
    const { page, close } = await open(run("runs/tour", "/record/1/0"));
    await settled(page);
    await page.keyboard.press("a");
    await page.locator(".verdict-accepted[aria-pressed=true]").waitFor();
    await page.keyboard.press("t");
    await page.keyboard.type("neat");
    await page.keyboard.press("Enter");
    await page.getByLabel("Remove the label neat").waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("c");
    await page.keyboard.type("a clean proof");
    await page.keyboard.press("Escape");
    await page.getByLabel("Your name").fill("grace");
    await page.getByLabel("Your name").press("Enter");
    await page.locator(".others", { hasText: "a clean proof" }).waitFor();
    await page.locator("h1").click();
    await page.keyboard.press("x");
    await page.locator(".verdict-rejected[aria-pressed=true]").waitFor();
    await close();
    const lines = readFileSync(join(folder, "runs/tour/annotations.jsonl"), "utf8");
    expect(lines).toContain("a clean proof");

    const people = await open(run("runs/tour", "/people"));
    await settled(people.page);
    const agreement = people.page.locator("tr", { hasText: "ada and grace" });
    expect(await agreement.locator("td").first().textContent()).toBe("1");
    await people.close();
    const list = await open(run("runs/tour", "/records?verdict=disputed"));
    await list.page.getByText("1 of 60 records").waitFor();
    await list.close();
  });

  test("a run that goes on shows its progress as it happens", async () => {
    const { page, close } = await open(run("runs/live", "/live"));
    const done = page.locator(".big-facts");
    await done.waitFor();
    const before = await done.textContent();
    await until(async () => (await done.textContent()) !== before, "the progress moves");
    await close();
  });

  test("the page of a driver shows roles and models as they work", async () => {
    const endpoint = await started(["model", "serve", "--listen=127.0.0.1:0", "latency=0.3s"]);
    const model = ["kind=openai", `base_url=${endpoint}`, "model=any"];
    const slow = [...model.map((key) => `models.speaker.${key}`), "--trials=200", "-n", "8"];
    const args = ["drive", "coral", "-o", "driven", "--quiet", "--view=127.0.0.1:0", ...slow];
    const driven = await started(args, /(http:\S+)/);
    const { page, faults, close } = await openPage(browser as Browser, driven);
    // The only run is opened at once.
    await page.getByRole("link", { name: "Live" }).click();
    await page.getByRole("row", { name: /^student/ }).waitFor();
    const busy = page.getByRole("meter", { name: "busy slots of student" });
    await until(async () => (await busy.getAttribute("aria-valuenow")) !== "0", "a slot is busy");
    const requests = page
      .getByRole("row", { name: /^speaker/ })
      .locator("td")
      .nth(3);
    await until(async () => Number(await requests.textContent()) > 8, "the model is asked");
    expect(faults).toEqual([]);
    await close();
  });

  test("a static copy shows the same from files, without a server", async () => {
    const copied = await matrix(["view", "runs/tour", "runs/other", "--bundle=copy"], {
      cwd: folder,
    });
    expect([copied.code, copied.stdout.trim()]).toEqual([0, "copy/index.html"]);
    const file = `file://${join(folder, "copy/index.html")}`;
    const at = async (path: string, shows: string) => {
      const { page, faults, foreign, close } = await openPage(
        browser as Browser,
        `${file}#${path}`,
      );
      await page.getByText(shows).first().waitFor();
      expect([path, faults, foreign]).toEqual([path, [], []]);
      await close();
    };
    await at("/", "2 runs");
    await at(run("runs/tour"), "expected");
    await at(run("runs/tour", "/records?status=failed&sort=id"), "6 of 60 records");
    await at(run("runs/tour", "/records?q=residue+modulo"), "15 of 60 records");
    await at(run("runs/tour", "/record/0/0?status=ok"), "First I work out the area");
    await at(run("runs/tour", "/row/2?a=0&b=1"), "all trials");
    await at(`/compare?runs=${keys.get("runs/tour")},${keys.get("runs/other")}`, "Difference");
    await at(run("runs/tour", "/recipe"), "tool-loop");
  });

  test("the colours follow the choice of the user, and the browser keeps it", async () => {
    const { page, close } = await open("/");
    await settled(page);
    const background = () =>
      page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const light = await background();
    for (const next of ["system", "light"]) await page.getByLabel(`Colours: ${next}`).click();
    await page.getByLabel("Colours: dark").waitFor();
    const dark = await background();
    expect(dark).not.toBe(light);
    await page.reload();
    await settled(page);
    expect(await background()).toBe(dark);
    await close();
  });

  test("the help lists the keys of the view", async () => {
    const { page, close } = await open(run("runs/tour", "/record/0/0"));
    await settled(page);
    await page.keyboard.press("?");
    const help = page.getByRole("dialog", { name: "Keys" });
    await help.waitFor();
    const keysThere = await help.locator("kbd").allTextContents();
    for (const key of ["j", "k", "l", "h", "a", "x", "?"]) expect(keysThere).toContain(key);
    await page.keyboard.press("Escape");
    await help.waitFor({ state: "hidden" });
    await close();
  });
});

/** A finished run, the same with another seed, one that goes on, one without records, and files. */
async function makeRuns(): Promise<void> {
  const tour = join(ROOT, "tests/e2e/view/tour");
  mkdirSync(join(folder, "tour"));
  for (const name of readdirSync(tour)) copyFileSync(join(tour, name), join(folder, "tour", name));
  const drive = (name: string, ...more: string[]) =>
    matrix(["drive", "tour/recipe.toml", "-o", `runs/${name}`, "--quiet", ...more], {
      cwd: folder,
    });
  const results = await Promise.all([drive("tour"), drive("other", "--seed", "5")]);
  expect(results.map(({ code }) => code)).toEqual([0, 0]);
  const slow = ["models.speaker.latency=0.3s", "--trials=200", "-n", "8", "--quiet"];
  const live = Bun.spawn([BINARY, "drive", "coral", "-o", "runs/live", ...slow], {
    ...{ cwd: folder, stdout: "ignore", stderr: "ignore" },
  });
  stops.push(() => {
    live.kill("SIGKILL");
    return live.exited;
  });
  const manifest = join(folder, "runs/live/manifest.json");
  await until(() => Bun.file(manifest).exists(), "the run has begun");
  for (const name of ["broken", "empty"]) mkdirSync(join(folder, "runs", name));
  await writeFile(join(folder, "runs/broken/manifest.json"), '{"format": "matrix-mani');
  await writeFile(join(folder, "runs/broken/trajectories.jsonl"), "no record\n");
  await writeFile(join(folder, "runs/empty/manifest.json"), emptyOf(join(folder, "runs/tour")));
  await writeFile(join(folder, "runs/empty/trajectories.jsonl"), "");
  await writeFile(join(folder, "many.jsonl"), `${manyRecords(MANY).join("\n")}\n`);
  await writeFile(join(folder, "hostile.jsonl"), `${hostileRecords().join("\n")}\n`);
}

/** The manifest of a run that was stopped before its first record. */
function emptyOf(run: string): string {
  const manifest = JSON.parse(readFileSync(join(run, "manifest.json"), "utf8"));
  const stopped = { why: "signal", message: "SIGTERM" };
  return JSON.stringify({
    ...manifest,
    name: "empty",
    ok: 0,
    failed: 0,
    state: "stopped",
    stopped,
  });
}

/** Starts a server of the binary, and gives the URL that it prints. */
async function started(args: readonly string[], pattern?: RegExp): Promise<string> {
  const isOnStdout = pattern === undefined;
  const child = Bun.spawn([BINARY, ...args], {
    ...{ cwd: folder, stdout: isOnStdout ? "pipe" : "ignore" },
    stderr: isOnStdout ? "ignore" : "pipe",
  });
  stops.push(() => {
    child.kill();
    return child.exited;
  });
  const printed = (isOnStdout ? child.stdout : child.stderr) as ReadableStream<Uint8Array>;
  const reader = printed.getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the server ended: ${text}`);
    text += new TextDecoder().decode(value);
  }
  return (pattern === undefined ? text.split("\n")[0] : pattern.exec(text)?.[1]) ?? "";
}

/** Faults of accessibility, as axe names them. */
async function violations(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe.source);
  return page.evaluate(async () => {
    const { axe: here } = globalThis as unknown as {
      readonly axe: {
        run(): Promise<{
          readonly violations: readonly {
            readonly id: string;
            readonly nodes: readonly { readonly html: string }[];
          }[];
        }>;
      };
    };
    const { violations: found } = await here.run();
    return found.flatMap(({ id, nodes }) => nodes.slice(0, 3).map(({ html }) => `${id}: ${html}`));
  });
}
