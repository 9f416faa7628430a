import { expect, test } from "bun:test";
import { gunzipSync } from "node:zlib";
import { loadPage } from "../../../src/view/page-files.ts";

const SCRIPT_BYTES_MAX = 300_000;
const page = await loadPage();
const textOf = (name: string) => gunzipSync(page.get(name)?.gzip ?? new Uint8Array()).toString();

test("the scripts of the page are smaller than 300 kB when they are compressed", () => {
  const scripts = [...page].filter(([name]) => name.endsWith(".js"));
  expect(scripts.map(([name]) => name)).toEqual(["app.js", "text.js"]);
  const bytes = scripts.reduce((sum, [, { gzip }]) => sum + gzip.length, 0);
  expect(bytes).toBeLessThan(SCRIPT_BYTES_MAX);
});

test("the page has no script or style of its own in its HTML, and loads nothing from elsewhere", () => {
  const html = textOf("index.html");
  expect(html).not.toMatch(/<script(?![^>]*\bsrc="[\w.]+")|<style|\son\w+=|\sstyle=|https?:/);
  for (const [, name] of html.matchAll(/(?:src|href)="([^"]+)"/g))
    expect(page.has(name ?? "")).toBe(true);
});

test("every font of the style sheet is there, and is loaded only when a formula needs it", () => {
  const css = textOf("app.css");
  const urls = [...css.matchAll(/url\(["']?([^"')]+)/g)].map(([, url]) => url ?? "");
  expect(urls.length).toBeGreaterThan(10);
  for (const url of urls) expect([url, page.get(url)?.type]).toEqual([url, "font/woff2"]);
});

test("the scripts parse no HTML and make no code of text", () => {
  for (const name of ["app.js", "text.js"])
    expect(textOf(name)).not.toMatch(/\beval\(|new Function|insertAdjacentHTML|document\.write/);
});
