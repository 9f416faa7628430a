// What a host may hand over as a record: all that `matrix verify` takes, and nothing else.

import { expect, test } from "bun:test";
import { hostToBlame, problemOfArrived } from "../../src/driver/arrived-record.ts";
import { contradictionsIn, parseRecord } from "../../src/records/check-record.ts";
import { EncodedTask, encodeTask } from "../../src/task/encoded.ts";
import { createHead, encodeRecord, type RecordHead } from "../../src/task/record.ts";
import type { Hop, Usage } from "../../src/task/task.ts";
import { endOf } from "./task-parts.ts";

const USAGE: Usage = { requests: 1, prompt_tokens: 5, completion_tokens: 2 };
const HOP: Hop = {
  ...{ hop: 0, role: "a", host: "h", at: "2026-11-30", queue_ms: 2, run_ms: 3 },
  ...{ model: "simulated:m", usage: USAGE, cost: 0.5, result: { content: "жé" } },
};

/** A task that ended ok, with other bytes in the place of its row or history. */
function arrived({
  history = [HOP],
  row,
  bytes,
}: {
  readonly history?: readonly Hop[];
  readonly row?: string | Uint8Array;
  readonly bytes?: string | Uint8Array;
} = {}): readonly [RecordHead, EncodedTask] {
  const { task, ending } = endOf("x");
  const sound = encodeTask({ ...task, history });
  const encoded = new EncodedTask(
    sound,
    row === undefined ? sound.rowBytes : Buffer.from(row as string),
    bytes === undefined ? sound.historyBytes : Buffer.from(bytes as string),
    sound.totals,
    [],
    {},
  );
  return [createHead(encoded, ending, { admittedAt: 0, endedAt: 1 }), encoded];
}

const other = (change: object) => arrived({ bytes: JSON.stringify({ ...HOP, ...change }) });
const without = (key: keyof Hop) => other({ [key]: undefined });

/** The judgement of a reader. */
function problemOfReader([head, task]: readonly [RecordHead, EncodedTask]): string | null {
  const text = encodeRecord(head, task)
    .map((part) => (typeof part === "string" ? part : Buffer.from(part).toString()))
    .join("");
  const record = parseRecord(text);
  return typeof record === "string" ? record : (contradictionsIn(record)[0] ?? null);
}

test("records of every kind that hosts make are taken", () => {
  const { cost: _, ...free } = HOP;
  const missed = [{ problem: "no", usage: USAGE, cost: 0.5, result: "x" }];
  for (const history of [
    [],
    [HOP],
    [HOP, { ...HOP, hop: 1 }],
    [free],
    [{ ...HOP, usage: { ...USAGE, cached_tokens: 1, reasoning_tokens: 1 } }],
    [{ ...HOP, usage: { ...USAGE, failed_requests: 1, stated_cost: 0.5 } }],
    [{ ...HOP, branch: 1, tries: 2, missed, error: "model_failed" }],
    [{ ...HOP, result: null }],
  ] as readonly Hop[][]) {
    const one = arrived({ history });
    expect([problemOfArrived(...one), problemOfReader(one)]).toEqual([null, null]);
  }
});

test.each<[string, ReturnType<typeof arrived>, string]>([
  ["a history that breaks off", arrived({ bytes: '{"hop":0' }), "is not JSON"],
  ["a history that closes its list", arrived({ bytes: '],"score":9,"x":[' }), "is not JSON"],
  ["a history with a stray comma", arrived({ bytes: `${JSON.stringify(HOP)},` }), "is not JSON"],
  ["a text that no quotes end", arrived({ bytes: '{"hop":"' }), "is not JSON"],
  ["a bare control character", arrived({ bytes: '{"hop":"\u0001"}' }), "is not JSON"],
  ["a row that is no JSON", arrived({ row: "nonsense" }), "is not JSON"],
  ["a row that closes its record", arrived({ row: '{}},{"a":1}' }), "is not JSON"],
  ["an empty row", arrived({ row: "" }), "is not JSON"],
  ["bytes that are no UTF-8", arrived({ bytes: Buffer.from("7b22c328223a317d", "hex") }), "UTF-8"],
  ["a row that is no UTF-8", arrived({ row: Buffer.from("7b22ff223a317d", "hex") }), "UTF-8"],
  ["a deep row", arrived({ row: `{"a":${"[".repeat(300)}${"]".repeat(300)}}` }), "too deeply"],
  ["a deep result", other({ result: JSON.parse(`${"[".repeat(300)}${"]".repeat(300)}`) }), "deep"],
  ["a row that is a list", arrived({ row: "[1]" }), "row"],
  ["a row that is null", arrived({ row: "null" }), "row"],
  ["a hop that is a text", arrived({ bytes: '"hop"' }), "history"],
  ["a hop that is null", arrived({ bytes: "null" }), "history"],
  ["a hop without its role", without("role"), "role"],
  ["a hop without its host", without("host"), "host"],
  ["a hop without its time", without("at"), "at"],
  ["a hop without its result", without("result"), "result"],
  ["a hop without its number", without("hop"), "hop"],
  ["a hop with another number", other({ hop: 1 }), "hops are not numbered"],
  ["a hop whose number is a text", other({ hop: "0" }), "hop"],
  ["a hop before the first", other({ hop: -1 }), "hop"],
  ["a time below zero", other({ run_ms: -1 }), "run_ms"],
  ["a queue without time", other({ queue_ms: null }), "queue_ms"],
  ["a role that is a number", other({ role: 5 }), "role"],
  ["a model that is a list", other({ model: [] }), "model"],
  ["a cost below zero", other({ cost: -1 }), "cost"],
  ["a cost that is a text", other({ cost: "1" }), "cost"],
  ["a member that no hop has", other({ more: 1 }), "more"],
  ["a usage that is a number", other({ usage: 5 }), "usage"],
  ["a usage with a part of a token", other({ usage: { ...USAGE, prompt_tokens: 5.5 } }), "prompt"],
  ["a usage below zero", other({ usage: { ...USAGE, requests: -1 } }), "requests"],
  ["a usage with another member", other({ usage: { ...USAGE, words: 1 } }), "words"],
  ["a usage without its requests", other({ usage: { ...USAGE, requests: undefined } }), "requests"],
  ["a usage that was not summed up", other({ usage: { ...USAGE, prompt_tokens: 9 } }), "add up"],
  ["a cost that was not summed up", other({ cost: 3 }), "add up"],
])("a record with %s is refused, with the reason", (_, one, why) => {
  expect(problemOfArrived(...one)).toContain(why);
  if (!/deep|UTF-8/.test(why)) expect(problemOfReader(one)).not.toBeNull();
});

test("the host is to blame that was the first to pass on a spoilt history, and else the last", () => {
  const [first, second, third] = [0, 1, 2].map((hop) => JSON.stringify({ ...HOP, hop }));
  const blamed = (hops: readonly (string | undefined)[]) => {
    const bytes = Buffer.from(hops.join(","));
    const ends = hops.map((_, i) => Buffer.byteLength(hops.slice(0, i + 1).join(",")));
    const trail = [2, 0, 1].flatMap((i) =>
      ends[i] === undefined ? [] : [{ host: `h-${i}`, id: i, bytes: ends[i] }],
    );
    const [head, { rowBytes, totals }] = arrived();
    const task = new EncodedTask(endOf("x").task, rowBytes, bytes, totals, trail, {});
    return hostToBlame(head, task);
  };
  expect(blamed([first, '{"hop":', third])).toBe("h-1");
  expect(blamed(["nonsense", second, third])).toBe("h-0");
  expect(blamed([first, second, '{"hop":2}'])).toBe("h-2");
  // The head is at fault, and so is the host that wrote it, which is the last of the trail.
  expect(blamed([first, second, third])).toBe("h-1");
  const [head, task] = arrived();
  expect(hostToBlame(head, task)).toBeNull();
});
