// The addresses of replicas: from the recipe, from a file and from a name, and what is said of
// those that are wrong.

import { expect, test } from "bun:test";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createAddresses } from "../../../src/model/replica/addresses.ts";
import { withFolder } from "../../parts/folder.ts";

const at = (...urls: string[]) => urls.map((url) => ({ url, ip: null, label: url }));

test("URLs of the recipe stay as they are, each once, and never grow old", async () => {
  const one = createAddresses("http://a/v1");
  expect(await one.find()).toEqual({ addresses: at("http://a/v1"), problem: null });
  expect(one.maxAgeMs).toBe(Number.POSITIVE_INFINITY);
  const many = createAddresses(["http://a/v1", "http://b/v1", "http://a/v1"]);
  expect(await many.find()).toEqual({ addresses: at("http://a/v1", "http://b/v1"), problem: null });
});

test("labels have no credentials, and URLs that differ only in these have labels of their own", async () => {
  const urls = ["http://u:p@a/v1", "http://a/v1?key=k", "http://b/v1"];
  const { addresses } = await createAddresses(urls).find();
  expect(addresses).toEqual([
    { url: "http://u:p@a/v1", ip: null, label: "http://a/v1" },
    { url: "http://a/v1?key=k", ip: null, label: "http://a/v1 (2)" },
    { url: "http://b/v1", ip: null, label: "http://b/v1" },
  ]);
  const { addresses: named } = await createAddresses({ dns: "http://u:p@127.0.0.1/v1?k=v" }).find();
  expect(named).toEqual([
    { url: "http://u:p@127.0.0.1/v1?k=v", ip: "127.0.0.1", label: "http://127.0.0.1/v1" },
  ]);
});

test("a file has a URL on each line, and is read anew each time", () =>
  withFolder(async (folder) => {
    const file = join(folder, "replicas.txt");
    const addresses = createAddresses({ file });
    expect(addresses.maxAgeMs).toBe(1000);
    await writeFile(file, "# two\nhttp://a/v1\n\n  http://b/v1#x # second\nhttp://a/v1\n");
    expect(await addresses.find()).toEqual({
      addresses: [...at("http://a/v1"), { url: "http://b/v1#x", ip: null, label: "http://b/v1" }],
      problem: null,
    });
    await writeFile(file, "http://c/v1");
    expect((await addresses.find()).addresses).toEqual(at("http://c/v1"));
  }));

test("a file with a wrong line gives the others, and names the first wrong one", () =>
  withFolder(async (folder) => {
    const file = join(folder, "replicas.txt");
    await writeFile(file, "http://a/v1\nlocalhost:8000\nwrong\n");
    expect(await createAddresses({ file }).find()).toEqual({
      addresses: at("http://a/v1"),
      problem: `${file} has a line that is not a URL: localhost:8000`,
    });
  }));

test("a file that is empty, missing or a folder gives no addresses, and each says so", () =>
  withFolder(async (folder) => {
    const file = join(folder, "replicas.txt");
    const addresses = createAddresses({ file });
    await writeFile(file, "# nothing\n");
    expect(await addresses.find()).toEqual({
      addresses: [],
      problem: `${file} names no replica; requests wait for one`,
    });
    await rm(file);
    expect(await addresses.find()).toEqual({
      addresses: [],
      problem: `${file} does not exist; requests wait for it`,
    });
    await mkdir(file);
    const { addresses: none, problem } = await addresses.find();
    expect(none).toEqual([]);
    expect(problem).toStartWith(`${file} cannot be read: `);
    expect(problem).toEndWith("; requests wait for it");
  }));

test("a name gives an address for each of its IPs, and the URL keeps the name", async () => {
  const addresses = createAddresses({ dns: "http://127.0.0.1:8000/v1/" });
  expect(addresses.maxAgeMs).toBe(5000);
  expect(await addresses.find()).toEqual({
    addresses: [
      { url: "http://127.0.0.1:8000/v1/", ip: "127.0.0.1", label: "http://127.0.0.1:8000/v1" },
    ],
    problem: null,
  });
  const local = (await createAddresses({ dns: "http://localhost:8000/v1" }).find()).addresses ?? [];
  expect(local.map(({ ip }) => ip)).toContain("127.0.0.1");
  for (const { url, ip, label } of local) {
    expect(url).toBe("http://localhost:8000/v1");
    expect(label).toBe(ip === "127.0.0.1" ? "http://127.0.0.1:8000/v1" : `http://[${ip}]:8000/v1`);
  }
});

test("an address of version 6 stands in brackets", async () => {
  expect((await createAddresses({ dns: "http://[::1]:8000/v1" }).find()).addresses).toEqual([
    { url: "http://[::1]:8000/v1", ip: "::1", label: "http://[::1]:8000/v1" },
  ]);
});

test("a name that cannot be resolved leaves the known addresses as they are", async () => {
  const { addresses, problem } = await createAddresses({ dns: "http://nowhere.invalid/v1" }).find();
  expect(addresses).toBeNull();
  expect(problem).toStartWith("cannot resolve nowhere.invalid: ");
});
