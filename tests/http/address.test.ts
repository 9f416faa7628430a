import { expect, test } from "bun:test";
import {
  DEFAULT_PORT,
  hostnameOf,
  isLoopback,
  isWildcard,
  LOOPBACK,
  needsTls,
  parseAddress,
  urlOf,
} from "../../src/http/address.ts";

test.each([
  ["0.0.0.0:7000", "0.0.0.0", 7000],
  ["node7", "node7", 7400],
  ["node7:0", "node7", 0],
  [":7000", "0.0.0.0", 7000],
  ["7000", "0.0.0.0", 7000],
  [" 7000 ", "0.0.0.0", 7000],
  ["[::1]:7000", "::1", 7000],
  ["[::1]", "::1", 7400],
  ["127.0.0.1:65535", "127.0.0.1", 65_535],
])("the address %s names host and port", (text, hostname, port) => {
  expect(parseAddress(text)).toEqual({ hostname, port });
});

test("the parts that an address leaves out come from the caller", () => {
  const defaults = { hostname: "127.0.0.1", port: 9400 };
  expect(parseAddress(":1", defaults)).toEqual({ hostname: "127.0.0.1", port: 1 });
  expect(parseAddress("node", defaults)).toEqual({ hostname: "node", port: 9400 });
});

test.each(["", " ", "a:b", "host:65536", "host:123456", "::1", "a b:1", "[::1", "host:"])(
  'the text "%s" is refused as an address, with an example',
  (text) => {
    expect(() => parseAddress(text)).toThrow(
      expect.objectContaining({
        code: "usage",
        message: `"${text}" is not an address`,
        hint: "write HOST:PORT, for example 0.0.0.0:7400; port 0 takes a free one",
      }),
    );
  },
);

test("a driver listens at port 7400, and a process beside it at a free port of loopback", () => {
  expect([DEFAULT_PORT, LOOPBACK]).toEqual([7400, { hostname: "127.0.0.1", port: 0 }]);
});

test("loopback is localhost, ::1 and 127.0.0.0/8, and no name that begins like it", () => {
  for (const name of ["localhost", "::1", "127.0.0.1", "127.255.0.9"])
    expect(isLoopback(name)).toBe(true);
  for (const name of ["0.0.0.0", "::", "10.0.0.1", "127.example.org", "node7", "128.0.0.1"])
    expect(isLoopback(name)).toBe(false);
});

test("traffic off loopback needs TLS, unless the user said otherwise", () => {
  expect([needsTls("10.0.0.1", false), needsTls("10.0.0.1", true)]).toEqual([true, false]);
  expect([needsTls("127.0.0.1", false), needsTls("127.0.0.1", true)]).toEqual([false, false]);
});

test("every address of the machine is 0.0.0.0 or ::", () => {
  expect(["0.0.0.0", "::", "127.0.0.1", "::1"].map(isWildcard)).toEqual([true, true, false, false]);
});

test("a URL has brackets around an IPv6 address, and its hostname has none", () => {
  expect(urlOf("::1", 7400, true)).toBe("https://[::1]:7400");
  expect(urlOf("127.0.0.1", 7400, false)).toBe("http://127.0.0.1:7400");
  expect(urlOf("node7", 1, false)).toBe("http://node7:1");
  expect(["https://[::1]:7400", "http://node7:1"].map(hostnameOf)).toEqual(["::1", "node7"]);
});
