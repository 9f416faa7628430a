// Flags of `matrix drive` for hosts beside the driver.

import { expect, test } from "bun:test";
import { parseHosts } from "../../src/cli/hosts-flags.ts";

const patience = "10m";

test("without --workers and --listen the driver hosts every role", () => {
  expect(parseHosts({ patience })).toBeNull();
});

test("workers are counted, and --listen opens an address for other hosts", () => {
  expect(parseHosts({ patience: "90s", workers: 3 })).toEqual({
    workers: 3,
    listen: null,
    advertise: null,
    insecure: false,
    patienceMs: 90_000,
  });
  expect(parseHosts({ patience, listen: "node7:1234", insecure: true })).toEqual({
    workers: 0,
    listen: { hostname: "node7", port: 1234 },
    advertise: null,
    insecure: true,
    patienceMs: 600_000,
  });
});

test("--advertise names the hostname under which hosts reach the driver", () => {
  const flags = { patience, listen: "0.0.0.0:0", advertise: "127.0.0.0/8" };
  expect(parseHosts(flags)?.advertise).toBe("127.0.0.1");
});

test.each([
  [{ advertise: "node7" }, "--advertise is for hosts on other machines: it needs --listen"],
  [{ listen: ":0", advertise: "no/where" }, "--advertise no/where: this machine has no such"],
  [{ workers: 0 }, "--workers: at least 1"],
  [{ workers: 1, insecure: true }, "--insecure is for hosts on other machines: it needs --listen"],
  [{ patience: "x" }, '--patience: "x" is not a duration'],
  [{ listen: "a:b" }, '"a:b" is not an address'],
])("flags %j are refused", (flags, message) => {
  expect(() => parseHosts({ patience, ...flags })).toThrow(message);
});
