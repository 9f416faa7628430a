// A real Chromium for the tests of the page; where there is none, a line says so and they skip.

import { type Browser, chromium, type Page } from "playwright-core";

export async function launchBrowser(): Promise<Browser | null> {
  const executablePath = process.env["MATRIX_TEST_CHROMIUM"] ?? Bun.which("chromium");
  if (executablePath === null) {
    console.log("skipped: no chromium in PATH, and MATRIX_TEST_CHROMIUM is not set");
    return null;
  }
  // Chromium's own sandbox does not start as root.
  return chromium.launch({ executablePath, args: ["--no-sandbox"] });
}

/** A wait that lasts longer has failed. No test relies on it. */
const TIMEOUT_MS = 20_000;

export interface Look {
  readonly width: number;
  readonly theme: "light" | "dark";
}

export interface Watched {
  readonly page: Page;
  /** Errors of the console and of scripts, in order. */
  readonly faults: string[];
  /** Addresses outside of the server that the page has asked for. */
  readonly foreign: string[];
  close(): Promise<void>;
}

/** Opens an address in a browser of its own: nothing is kept from other tests. */
export async function openPage(
  browser: Browser,
  url: string,
  { width, theme }: Look = { width: 1280, theme: "light" },
): Promise<Watched> {
  const context = await browser.newContext({
    viewport: { width, height: 800 },
    colorScheme: theme,
    reducedMotion: "reduce",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(TIMEOUT_MS);
  const faults: string[] = [];
  const foreign: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(message.text());
  });
  page.on("pageerror", (error) => faults.push(String(error)));
  const { origin } = new URL(url);
  page.on("request", (request) => {
    const asked = new URL(request.url());
    if (asked.protocol !== "data:" && asked.origin !== origin) foreign.push(request.url());
  });
  await page.addInitScript(() => {
    let shift = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as (PerformanceEntry & {
        readonly value: number;
        readonly hadRecentInput: boolean;
      })[])
        if (!entry.hadRecentInput) shift += entry.value;
      Object.assign(globalThis, { layoutShift: shift });
    }).observe({ type: "layout-shift", buffered: true });
  });
  await page.goto(url);
  return { page, faults, foreign, close: () => context.close() };
}

/** Waits until the view has its content: nothing loads, and no grey lines are left. */
export async function settled(page: Page): Promise<void> {
  await page.locator("main .skeleton:visible").first().waitFor({ state: "detached" });
  await page.locator("main :not(.skeleton)").first().waitFor();
  await page.waitForFunction(() => globalThis.matrixText !== undefined);
  await page.evaluate(() => document.fonts.ready);
}
