// The address that `--advertise` stands for, on a machine with several networks.

import { expect, test } from "bun:test";
import { advertisedHost } from "../../src/http/advertise.ts";

const of = (address: string, family: "IPv4" | "IPv6", internal = false) => ({
  ...{ address, family, internal, netmask: "", mac: "", cidr: null },
  ...(family === "IPv6" ? { scopeid: 0 } : {}),
});
const INTERFACES = {
  lo: [of("127.0.0.1", "IPv4", true), of("::1", "IPv6", true)],
  eth0: [of("fe80::1", "IPv6"), of("192.168.1.5", "IPv4")],
  ib0: [of("10.4.0.7", "IPv4")],
  v6: [of("fd00:1::9", "IPv6")],
  empty: [],
} as unknown as NonNullable<Parameters<typeof advertisedHost>[1]>;

test.each([
  ["node7", "node7"],
  ["node-7.cluster.example", "node-7.cluster.example"],
  ["203.0.113.9", "203.0.113.9"],
  ["2001:db8::1", "2001:db8::1"],
  ["eth0", "192.168.1.5"],
  ["ib0", "10.4.0.7"],
  ["v6", "fd00:1::9"],
  ["10.0.0.0/8", "10.4.0.7"],
  ["10.4.0.7/32", "10.4.0.7"],
  ["192.168.0.0/16", "192.168.1.5"],
  ["127.0.0.0/8", "127.0.0.1"],
  ["fd00::/8", "fd00:1::9"],
])("%s stands for %s", (text, host) => {
  expect(advertisedHost(text, INTERFACES)).toBe(host);
});

test.each([
  "172.16.0.0/12",
  "10.0.0.0/33",
  "10.0.0.0/",
  "fd00::/129",
  "10.0/8",
  "empty",
  "a b",
  "",
])("%j is refused with the addresses of the machine", (text) => {
  const refused = () => advertisedHost(text, INTERFACES);
  expect(refused).toThrow(`--advertise ${text}: this machine has no such address`);
  const known = text === "empty" ? "none" : "127.0.0.1, ::1, fe80::1, 192.168.1.5, 10.4.0.7";
  expect(refused).toThrow(
    expect.objectContaining({ code: "usage", hint: expect.stringContaining(known) }),
  );
});
