// Content that looks like a credential. The samples are made up, and put together here so that no
// scanner takes this file for a leak.

import { expect, test } from "bun:test";
import {
  CredentialCount,
  credentialsIn,
  withoutCredentials,
} from "../../src/task/credential-patterns.ts";

const letters = (count: number) => "aB3dE6gH".repeat(20).slice(0, count);

const SAMPLES: readonly (readonly [name: string, sample: string])[] = [
  ["aws-access-token", `AKIA${"ABCD2345".repeat(2)}`],
  ["aws-access-token", `ASIA${"ABCD2345".repeat(2)}`],
  ["openai-api-key", `sk-${letters(20)}`],
  ["openai-api-key", `sk-proj-${letters(60)}`],
  ["anthropic-api-key", `sk-ant-${"api03"}-${letters(30)}`],
  ...["ghp_", "gho_", "ghu_", "ghs_", "ghr_"].map(
    (start) => ["github-token", `${start}${letters(36)}`] as const,
  ),
  ["github-fine-grained-pat", `github_pat_${letters(40)}`],
  ["gitlab-pat", `glpat-${letters(20)}`],
  ["huggingface-access-token", `hf_${letters(34)}`],
  ["gcp-api-key", `AIza${letters(35)}`],
  ["slack-token", `xoxb-${"1234567890"}-${letters(24)}`],
  ["stripe-access-token", `sk_live_${letters(24)}`],
  ["stripe-access-token", `rk_live_${letters(24)}`],
  ["npm-access-token", `npm_${letters(36)}`],
  ["pypi-upload-token", `pypi-AgE${letters(60)}`],
  ["jwt", `eyJ${letters(20)}.eyJ${letters(20)}.${letters(20)}`],
  ["private-key", `-----BEGIN RSA ${"PRIVATE"} KEY-----\\nMII`],
  ["private-key", `-----BEGIN ${"PRIVATE"} KEY-----`],
  ["private-key", `-----BEGIN PGP ${"PRIVATE"} KEY BLOCK-----`],
];

test.each(SAMPLES)("%s is found in text, in bytes and beside other text", (name, sample) => {
  expect(credentialsIn(`{"a":"key=${sample}"}`)).toEqual([name]);
  expect(credentialsIn(`ünï ${sample} 🎲`)).toEqual([name]);
  const bytes = new TextEncoder().encode(`xx"${sample}"`);
  expect(credentialsIn(bytes.subarray(2))).toEqual([name]);
});

test.each(SAMPLES)("%s is not found in a shorter text: %s", (_, sample) => {
  expect(credentialsIn(sample.slice(0, Math.min(12, sample.length - 6)))).toEqual([]);
});

test("words that begin like credentials are none", () => {
  const words = [
    "a risk-adjusted-return-on-capital-of-2025",
    "sk-learn-is-a-library-for-machines",
    "task_live_and_let_live",
    "AKIAabcdefghijklmnop",
    "the PRIVATE KEY of the house",
    `x${"AKIA"}${"ABCD2345".repeat(2)}`,
    `data:image/png;base64,${Buffer.from(letters(160)).toString("base64")}`,
  ];
  for (const word of words)
    expect({ word, found: credentialsIn(word) }).toEqual({ word, found: [] });
});

const [[, AWS], , [, OPENAI]] = SAMPLES as [
  readonly [string, string],
  unknown,
  readonly [string, string],
];

test("records are counted once for each rule, whatever part holds the match", () => {
  const count = new CredentialCount();
  count.look([
    ["clean", new TextEncoder().encode("clean")],
    [`${AWS} ${AWS}`, new TextEncoder().encode(`${AWS} ${OPENAI}`)],
  ]);
  count.look([[OPENAI]]);
  expect(count.found).toEqual({
    looked: 3,
    records: 2,
    rules: { "aws-access-token": 1, "openai-api-key": 2 },
  });
});

test("with a clock, looking stops after 100 ms, and goes on at 1 % of the time", () => {
  let now = 0;
  const takes = (ms: number) => {
    // Each look reads the clock at its beginning and at its end.
    const times = [now, now + ms];
    now += ms;
    return () => times.shift() ?? now;
  };
  let clock = (): number => now;
  const count = new CredentialCount(() => clock());
  const look = (ms: number) => {
    clock = takes(ms);
    count.look([["x"]]);
    clock = () => now;
    return count.found.looked;
  };
  expect(look(100)).toBe(1);
  expect(look(2)).toBe(2);
  // 102 ms were spent, and 100 ms and 1 % of 102 ms were free.
  expect(look(1)).toBe(2);
  now = 199;
  expect(look(0)).toBe(2);
  now = 200;
  expect(look(0)).toBe(3);
});

test("each credential in a text is replaced by the name of its rule", () => {
  const key = `AKIA${"ABCD2345".repeat(2)}`;
  const text = `a ${key} b ${key} c`;
  expect(withoutCredentials(text)).toBe("a [aws-access-token] b [aws-access-token] c");
  expect(withoutCredentials("nothing here")).toBe("nothing here");
});

test("a private key is left out whole, and to the end of the text when it was cut", () => {
  const begin = `-----BEGIN RSA PRIVATE ${"KEY"}-----`;
  const key = `${begin}\nMIIE\n-----END RSA PRIVATE ${"KEY"}-----`;
  expect(withoutCredentials(`x ${key} y`)).toBe("x [private-key] y");
  expect(withoutCredentials(`x ${begin}\nMIIE`)).toBe("x [private-key]");
});
