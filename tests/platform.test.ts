// The differences between runtimes, as this one shows them.

import { expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { constants } from "node:os";
import { join } from "node:path";
import {
  hyper,
  loadUncatch,
  ownCommand,
  provideModule,
  provideSdk,
  runtime,
  serve,
} from "../src/platform.ts";
import { to } from "../src/sdk.ts";
import { withFolder } from "./parts/folder.ts";

test("the runtime of these tests is Bun, which serves HTTP/2 itself", () => {
  expect(runtime).toEqual({ name: "bun", version: Bun.version });
  expect(hyper).toBeNull();
});

test("the command that starts this program again is its source under the present runtime", () => {
  const main = new URL("../src/main.ts", import.meta.url).pathname;
  expect(ownCommand()).toEqual({ file: process.execPath, args: [main] });
});

test("a server answers at the port that it was given until it is stopped", async () => {
  const server = serve({
    ...{ hostname: "127.0.0.1", port: 0 },
    fetch: (request) => new Response(`you asked for ${new URL(request.url).pathname}`),
  });
  expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
  expect(await (await fetch(`${server.url}/x`)).text()).toBe("you asked for /x");
  await server.stop();
  await expect(fetch(server.url)).rejects.toThrow();
});

test("a server whose function fails answers with status 500 and no detail", async () => {
  const server = serve({
    ...{ hostname: "127.0.0.1", port: 0 },
    fetch: () => {
      throw new Error("a secret");
    },
  });
  const response = await fetch(server.url);
  expect([response.status, await response.text()]).toEqual([500, "internal error"]);
  await server.stop();
});

test("a port that another program has is not shared with it", async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const { port } = other.address() as { port: number };
  const fetch = () => new Response("");
  expect(() => serve({ hostname: "127.0.0.1", port, fetch })).toThrow();
  other.close();
  const first = serve({ hostname: "127.0.0.1", port: 0, fetch });
  const taken = Number(new URL(first.url).port);
  expect(() => serve({ hostname: "127.0.0.1", port: taken, fetch })).toThrow();
  await first.stop();
});

test("user modules import the provided modules by name, which are loaded only then", () =>
  withFolder(async (folder) => {
    let loads = 0;
    provideSdk(await import("../src/sdk.ts"));
    provideModule("provided-for-a-test", async () => {
      loads++;
      return { here: 2 };
    });
    expect(loads).toBe(0);
    const path = join(folder, "user.mjs");
    await writeFile(
      path,
      'import { to } from "matrix";\nimport { here } from "provided-for-a-test";\nexport default to("a", here);\n',
    );
    expect(((await import(path)) as { default: unknown }).default).toEqual(to("a", 2));
    expect(loads).toBe(1);
  }));

test("a caught signal has its default action until it is caught again, and others keep theirs", async () => {
  if (process.platform !== "linux") return;
  const caught = async () => {
    const status = await readFile("/proc/self/status", "utf8");
    const mask = BigInt(`0x${/^SigCgt:\s*(\w+)$/m.exec(status)?.[1]}`);
    return [constants.signals.SIGUSR2, constants.signals.SIGURG].map(
      (signal) => ((mask >> BigInt(signal - 1)) & 1n) === 1n,
    );
  };
  const heard = Promise.withResolvers<void>();
  process.on("SIGUSR2", heard.resolve);
  try {
    const uncatch = await loadUncatch();
    expect(await caught()).toEqual([true, false]);
    const catchAgain = uncatch?.([constants.signals.SIGUSR2, constants.signals.SIGURG]);
    expect(await caught()).toEqual([false, false]);
    catchAgain?.();
    expect(await caught()).toEqual([true, false]);
    process.kill(process.pid, "SIGUSR2");
    await heard.promise;
  } finally {
    process.off("SIGUSR2", heard.resolve);
  }
});
