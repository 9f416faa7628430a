import { expect, test } from "bun:test";
import {
  type Control,
  type ControlKind,
  decodeControl,
  encodeControl,
} from "../../src/peer/control.ts";
import { pack } from "../../src/peer/msgpack.ts";

const host = { id: "h", name: "node-1", roles: ["work"], address: "http://h:1", leaving: false };
const spent = { requests: 1, prompt_tokens: 2, completion_tokens: 3, cost: 0.5 };
const load = { work: { busy: 1, queued: 2, slots: 3 } };
const version = { driver: "d", version: 4 };
const line = { at: 1.5, level: "warning", message: "m", fields: { a: "x", b: 1 } };
const bundle = { recipe: "r", files: { "a.ts": Buffer.from([1, 2]) }, secrets: { KEY: "s" } };

/** A good message of each kind, and pieces that make it a bad one. */
const MESSAGES: { readonly [K in ControlKind]: readonly [good: Control<K>, ...bad: unknown[]] } = {
  join: [{ program: "1", name: "n", replaces: null }, { replaces: 1 }, { name: null }, { more: 1 }],
  welcome: [
    { run: "r", roles: ["a"], bundle },
    { run: 1 },
    { roles: [1] },
    { bundle: { ...bundle, files: { a: "text" } } },
    { replay: { roles: ["a"], ask: ["a"], from: -1, salt: 0 } },
    { replay: { roles: ["a"], ask: "a", from: null, salt: 0 } },
  ],
  recorded: [{ row: "x".repeat(5000), trial: 2 }, { row: 1 }, { trial: -1 }],
  recording: [
    { redraws: 1, record: { seed: 2 ** 53 - 1, history: Buffer.from("[]"), error: null } },
    { redraws: -1 },
    { record: { seed: 1, history: "[]", error: null } },
    { record: { seed: 1, history: Buffer.from("[]"), error: 1 } },
    { record: {} },
  ],
  beat: [
    { run: "r", host, load, known: version, bytes: 5, spent },
    { host: { ...host, isSink: true } },
    { host: { ...host, roles: "a" } },
    { load: { work: { busy: 1, queued: 2 } } },
    { load: { work: { busy: -1, queued: 2, slots: 3 } } },
    { known: { driver: "d", version: 1.5 } },
    { bytes: -1 },
    { spent: { ...spent, cost: -0.1 } },
    { spent: { ...spent, requests: 0.5 } },
    { run: "x".repeat(4097) },
  ],
  heard: [
    {
      state: "running",
      joining: "j",
      rated: ["m"],
      ended: [["row", 0]],
      list: { version, members: [{ ...host, isSink: true }] },
    },
    { state: "asleep" },
    { ended: [["row"]] },
    { ended: [[1, 0]] },
    { ended: [["row", -1]] },
    { list: { version, members: [host] } },
    { rated: [1] },
  ],
  permits: [
    { model: "m", tokens: [0, 5], settled: -7 },
    { tokens: [-1] },
    { settled: 0.5 },
    { model: 1 },
  ],
  turns: [{ waits: [0, 1.5] }, { waits: [-1] }, { waits: ["1"] }],
  leave: [{ id: "h", why: "left", spent }, { why: "bored" }, { id: 1 }],
  census: [{ number: 1, phase: "collect" }, { number: -1 }, { phase: "count" }],
  counted: [[["0:a", 1]], [["0:a"]], [["0:a", -1]], [[1, 1]], 5],
  logs: [
    { name: "n", lines: [line as never] },
    { lines: [{ ...line, level: "loud" }] },
    { lines: [{ ...line, at: "now" }] },
    { lines: [{ ...line, fields: { a: null } }] },
  ],
  done: [null, 1, {}],
};

const KINDS = Object.keys(MESSAGES) as ControlKind[];

test.each(KINDS)("a message of kind %s arrives as it was sent", (kind) => {
  const [good] = MESSAGES[kind];
  expect(decodeControl(kind, encodeControl(kind, good as never))).toEqual(good as never);
});

test.each(KINDS)("a message of kind %s is refused when a part of it does not fit", (kind) => {
  const [good, ...bad] = MESSAGES[kind];
  for (const part of bad) {
    const isPart = typeof part === "object" && !Array.isArray(part) && good !== null;
    const body = pack(isPart ? { ...good, ...part } : part);
    expect(() => decodeControl(kind, body)).toThrow(
      expect.objectContaining({ code: "wire_invalid" }),
    );
  }
});

test.each([
  ["welcome", { refused: "another version" }],
  ["counted", null],
  ["beat", { run: "r", host, load: {}, known: null, bytes: 0, spent }],
  ["heard", { state: "over", joining: "", rated: [], ended: [], list: null }],
  ["heard", { state: "stopped", joining: "", rated: [], ended: [], list: null }],
  ["heard", { state: "rejoin", joining: "", rated: [], ended: [], list: null }],
  ["leave", { id: "h", why: "died", spent }],
  ["census", { number: 0, phase: "begin" }],
] as const)("a message of kind %s may also be %j", (kind, message) => {
  expect(decodeControl(kind, encodeControl(kind, message as never))).toEqual(message as never);
});

test("a message that does not fit says which kind was expected, and where it goes wrong", () => {
  const wrong = (body: unknown) => {
    try {
      decodeControl("census", pack(body));
      return "read";
    } catch (thrown) {
      return (thrown as Error).message;
    }
  };
  expect(wrong({ number: 1, phase: "count" })).toMatch(/^the body is not a valid census: phase: /);
  expect(wrong(5)).toMatch(/^the body is not a valid census: all of it: /);
});

test("bytes that are not MessagePack are refused", () => {
  expect(() => decodeControl("done", new Uint8Array([0x81]))).toThrow(
    expect.objectContaining({ code: "wire_invalid", message: "the body is not MessagePack" }),
  );
});
