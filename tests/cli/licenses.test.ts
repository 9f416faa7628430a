// The licenses of everything in the binary that others have written.

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { bundledFolders, NOTICES, renderNotices } from "../../scripts/generators/licenses.ts";
import { billOfMaterials } from "../../src/cli/licenses/bill-of-materials.ts";
import { type Notices, readNotices } from "../../src/cli/licenses/notices.ts";
import { version } from "../../src/version.ts";
import { matrix } from "../parts/program.ts";
import { ROOT } from "../parts/repository.ts";

test("the notices are what scripts/generate writes", async () => {
  expect(readFileSync(NOTICES, "utf8")).toBe(await renderNotices());
});

test("every package with code in the binary is named with its version and a text", async () => {
  const { packages, texts } = readNotices();
  const missing = (await bundledFolders()).filter((folder) => {
    const { name, version } = JSON.parse(
      readFileSync(join(ROOT, folder, "package.json"), "utf8"),
    ) as { name: string; version: string };
    const found = packages.find((one) => one.name === name && one.version === version);
    return found === undefined || !found.texts.some((place) => (texts[place]?.length ?? 0) > 300);
  });
  expect(missing).toEqual([]);
  expect(packages.length).toBeGreaterThan(100);
  expect(packages.filter(({ sha512 }) => !/^[0-9a-f]{128}$/.test(sha512 ?? ""))).toEqual([]);
});

test("Bun and the libraries in it are named, with the text of the LGPL", () => {
  const { runtime, texts } = readNotices();
  const textOf = (name: string) =>
    texts[runtime.find((part) => part.name === name)?.texts[0] ?? -1] ?? "";
  expect(runtime[0]).toMatchObject({ name: "bun", version: Bun.version, license: "MIT" });
  expect(textOf("bun")).toContain("Permission is hereby granted");
  expect(textOf("JavaScriptCore")).toContain("GNU LIBRARY GENERAL PUBLIC LICENSE");
  expect(textOf("tinycc")).toContain("GNU LESSER GENERAL PUBLIC LICENSE");
});

test("the licenses are printed as text, and as JSON", async () => {
  const { stdout } = await matrix(["licenses"]);
  const { packages, texts } = readNotices();
  for (const { name, version, license } of packages)
    expect(stdout).toContain(`\n${name} ${version}  ${license}  https://`);
  for (const text of texts) expect(stdout).toContain(text);
  expect(stdout).toContain("Those under the LGPL may be\nreplaced");
  const json = await matrix(["licenses", "--json"]);
  expect(JSON.parse(json.stdout)).toEqual(readNotices());
});

const SMALL: Notices = {
  packages: [
    {
      ...{ name: "@a/b", version: "1.0.0", license: "MIT", url: "https://x", sha512: "00" },
      texts: [0],
    },
    {
      ...{ name: "c", version: "2.0.0", license: "(MIT OR CC0-1.0)", url: "https://y" },
      ...{ sha512: null, texts: [0] },
    },
  ],
  runtime: [
    {
      ...{ name: "WebCore", version: null, license: "LGPL-2.0-or-later" },
      ...{ url: "https://github.com/oven-sh/WebKit", sha512: null, texts: [] },
    },
    {
      ...{ name: "acorn", version: null, license: "MIT", sha512: null, texts: [] },
      url: "https://npmjs.com/package/acorn",
    },
  ],
  texts: ["text"],
};

test("the bill of materials names each part in the words of CycloneDX", () => {
  const refs = [
    "pkg:npm/%40a/b@1.0.0",
    "pkg:npm/c@2.0.0",
    "pkg:github/oven-sh/webkit#WebCore",
    "pkg:npm/acorn",
  ];
  const library = (index: number, name: string, url: string, more: object) => ({
    ...{ type: "library", "bom-ref": refs[index], name, purl: refs[index] },
    externalReferences: [{ type: "website", url }],
    ...more,
  });
  const mit = { licenses: [{ license: { id: "MIT" } }] };
  expect(billOfMaterials(SMALL)).toEqual({
    ...{ bomFormat: "CycloneDX", specVersion: "1.6", version: 1 },
    metadata: {
      component: { type: "application", "bom-ref": "matrix", name: "matrix", version, ...mit },
    },
    components: [
      library(0, "@a/b", "https://x", {
        ...{ version: "1.0.0", ...mit },
        hashes: [{ alg: "SHA-512", content: "00" }],
      }),
      library(1, "c", "https://y", {
        version: "2.0.0",
        licenses: [{ expression: "(MIT OR CC0-1.0)" }],
      }),
      library(2, "WebCore", "https://github.com/oven-sh/WebKit", {
        licenses: [{ license: { id: "LGPL-2.0-or-later" } }],
      }),
      library(3, "acorn", "https://npmjs.com/package/acorn", mit),
    ],
    dependencies: [{ ref: "matrix", dependsOn: refs }],
  });
});

test("the bill of materials of the binary has each part once", async () => {
  const { stdout } = await matrix(["licenses", "--sbom"]);
  const { components } = JSON.parse(stdout) as { components: { "bom-ref": string }[] };
  const { packages, runtime } = readNotices();
  expect(components).toHaveLength(packages.length + runtime.length);
  expect(new Set(components.map((one) => one["bom-ref"])).size).toBe(components.length);
});
