// Credentials in URLs, and what people see of them.

import { expect, test } from "bun:test";
import { masking, publicUrl, readCredentials } from "../../../src/model/endpoint/credentials.ts";

test("a URL that people see has no user, password, query or fragment", () => {
  for (const [url, shown] of [
    ["http://a:8000/v1", "http://a:8000/v1"],
    ["http://a:8000/v1/", "http://a:8000/v1/"],
    ["http://user:pass@a:8000/v1", "http://a:8000/v1"],
    ["http://token@a/", "http://a"],
    ["http://:pass@a/v1", "http://a/v1"],
    ["https://a/v1?key=k", "https://a/v1"],
    ["https://a/v1#k", "https://a/v1"],
    ["http//user:pass@a/v1?key=k", "http//a/v1"],
    ["no url", "no url"],
  ] as const)
    expect(publicUrl(url)).toBe(shown);
});

test("requests keep the query of the URL, and not its user", () => {
  const { bare, authorization } = readCredentials("http://u:p@a/v1?key=k", { headers: {} });
  expect([bare, authorization]).toEqual(["http://a/v1?key=k", `Basic ${btoa("u:p")}`]);
  expect(readCredentials("http://a/v1", { headers: {} }).authorization).toBeNull();
  expect(readCredentials("http://:p@a/v1", { headers: {} }).authorization).toBe(
    `Basic ${btoa(":p")}`,
  );
});

test("every secret is masked, the longest first, and short values are words", () => {
  const mask = masking(["secret", "secret-long", "short", ""]);
  expect(mask("secret-long secret secretsecret short")).toBe("… … …… short");
  expect(masking([])("x")).toBe("x");
});

test("secrets are the key, the user, the password, values of the query and of headers", () => {
  const { secrets } = readCredentials("http://us%65r:p%40ss@a/v1?k=a%20b", {
    api_key: "sk",
    headers: { authorization: "Bearer tok" },
  });
  for (const secret of ["sk", "user", "p@ss", btoa("user:p@ss"), "a b", "a%20b", "tok"])
    expect(secrets).toContain(secret);
  expect(secrets).toContain("Bearer tok");
});
