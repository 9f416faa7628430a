// Bodies that no sender of this program would make. Each is refused whole with `wire_invalid`, and
// none leads to another error.

import { expect, test } from "bun:test";
import fc from "fast-check";
import { MatrixError } from "../../src/error.ts";
import { type ControlKind, decodeControl } from "../../src/peer/control.ts";
import { decodeAnswer, decodeBatch } from "../../src/peer/decode.ts";
import { encodeAnswer, encodeBatch } from "../../src/peer/encode.ts";
import { pack, unpack } from "../../src/peer/msgpack.ts";
import { PARCEL, PARCEL_FIELDS, TOTALS } from "../../src/peer/wire-format.ts";
import { end, parcel, step } from "./one-broker.ts";

const encoding = { self: "a", to: "b", above: 512, now: 5000 };
const good = encodeBatch(
  {
    parcels: [
      parcel(1, step({ hops: 1, branch: { of: "a", id: 1 } })),
      parcel(2, end({ hops: 2 })),
    ],
    released: [7],
    starting: [[9, 1_000_004]],
  },
  encoding,
);
const goodAnswer = encodeAnswer({
  refused: [1],
  incomplete: [2],
  load: { work: { busy: 1, queued: 2, slots: 3 } },
});

const decode = (body: Uint8Array) => decodeBatch(body, () => null, 5000);
const codeOf = (run: () => unknown): string => {
  try {
    run();
    return "read";
  } catch (thrown) {
    return thrown instanceof MatrixError ? thrown.code : String(thrown);
  }
};
/** A body of one parcel, with some of its fields changed. */
const withFields = (changes: Readonly<Record<number, unknown>>, kind: "step" | "end" = "step") => {
  const [parcels] = unpack(good) as [unknown[][]];
  const fields = [...(parcels[kind === "step" ? 0 : 1] ?? [])];
  for (const [index, value] of Object.entries(changes)) fields[Number(index)] = value;
  return pack([[fields], [], []]);
};
const fieldCode = (changes: Readonly<Record<number, unknown>>, kind: "step" | "end" = "step") =>
  codeOf(() => decode(withFields(changes, kind)));

test("a body that is cut at any byte, or has a byte to spare, is refused", () => {
  for (const [body, read] of [
    [good, decode],
    [goodAnswer, decodeAnswer],
  ] as const) {
    expect(codeOf(() => read(body))).toBe("read");
    for (let length = 0; length < body.length; length++)
      expect(codeOf(() => read(body.subarray(0, length)))).toBe("wire_invalid");
    expect(codeOf(() => read(Buffer.concat([body, Buffer.from([1])])))).toBe("wire_invalid");
  }
});

const COUNTS = ["seq", "crashes", "strikes", "trial", "seed", "attempt"] as const;
test.each(COUNTS)("a parcel's %s is an integer from 0 that a number can hold", (name) => {
  for (const value of [0, 1, Number.MAX_SAFE_INTEGER])
    expect(fieldCode({ [PARCEL[name]]: value })).toBe("read");
  for (const value of [-1, 1.5, Number.NaN, 2 ** 53, "1", null, undefined, [], {}, true])
    expect(fieldCode({ [PARCEL[name]]: value })).toBe("wire_invalid");
});

test.each(["rowId", "role"] as const)("a parcel's %s is a text", (name) => {
  for (const value of ["", "x"]) expect(fieldCode({ [PARCEL[name]]: value })).toBe("read");
  for (const value of [1, null, undefined, [], {}, new Uint8Array(1)])
    expect(fieldCode({ [PARCEL[name]]: value })).toBe("wire_invalid");
});

test.each(["row", "history"] as const)(
  "a parcel's %s is bytes on one line, which can tear no record",
  (name) => {
    const bytes = (json: string) => new TextEncoder().encode(json);
    for (const value of [bytes(""), bytes("{}")])
      expect(fieldCode({ [PARCEL[name]]: value })).toBe("read");
    for (const value of [
      "{}",
      null,
      bytes('{"a":1}\n{"format":"matrix-trajectory-1"}'),
      bytes("\n"),
    ])
      expect(fieldCode({ [PARCEL[name]]: value })).toBe("wire_invalid");
  },
);

test.each([
  ["kind", ["step", "fork"], ["end", "stop", "", null, 1]],
  ["state", ["null", "[1]"], ["", "{", null, 1, {}]],
  ["ageMs", [0, -5, 1.5, 1e15], [Number.NaN, Number.POSITIVE_INFINITY, "1", null]],
  ["trace", [null, "", "00-1"], [1, undefined, {}]],
  ["since", [null, 0, 5], [-1, "x", undefined]],
  [
    "pins",
    [[], [["box", "a"]]],
    [null, {}, [["box"]], [["box", 1]], [[1, "a"]], [["a", "b", "c"]]],
  ],
  [
    "trail",
    [[], [["a", 1, 2]]],
    [null, {}, [["a", 1]], [[1, 1, 2]], [["a", -1, 2]], [["a", 1, 1.5]], [["a", 1, 2, 3]]],
  ],
  [
    "branch",
    [null, ["a", 1, null], ["a", 1, [null, 0.5, 3]], ["a", 1, [7, null, null]]],
    [
      ...[undefined, [], ["a"], ["a", 1], ["a", -1, null], [1, 1, null], ["a", 1, 2], "a"],
      ...[
        ["a", 1, [1, 2]],
        ["a", 1, [-1, null, null]],
        ["a", 1, ["1", null, null]],
      ],
    ],
  ],
  ["mayRepeat", [true, false], [undefined, null, 0, 1, "true"]],
] as const)(
  "a parcel's %s is read when it fits, and refused when it does not",
  (name, fit, wrong) => {
    for (const value of fit) expect(fieldCode({ [PARCEL[name]]: value })).toBe("read");
    for (const value of wrong) expect(fieldCode({ [PARCEL[name]]: value })).toBe("wire_invalid");
  },
);

test("a parcel's totals are counts, times and a cost, and names of models", () => {
  const [parcels] = unpack(good) as [unknown[][]];
  const totals = parcels[0]?.[PARCEL.totals] as unknown[];
  const code = (name: keyof typeof TOTALS, value: unknown) =>
    fieldCode({ [PARCEL.totals]: totals.with(TOTALS[name], value) });
  for (const name of ["hops", "requests", "promptTokens", "completionTokens"] as const) {
    expect([0, 3].map((value) => code(name, value))).toEqual(["read", "read"]);
    for (const value of [-1, 1.5, null, "1"]) expect(code(name, value)).toBe("wire_invalid");
  }
  for (const name of ["queueMs", "runMs", "cost"] as const) {
    expect([0, 1.5].map((value) => code(name, value))).toEqual(["read", "read"]);
    for (const value of [-0.1, Number.NaN, "1"]) expect(code(name, value)).toBe("wire_invalid");
  }
  expect([code("cost", null), code("queueMs", null)]).toEqual(["read", "wire_invalid"]);
  expect([code("models", ["m"]), code("models", [1]), code("models", "m")]).toEqual([
    "read",
    "wire_invalid",
    "wire_invalid",
  ]);
  expect(fieldCode({ [PARCEL.totals]: totals.slice(1) })).toBe("wire_invalid");
});

test("an end has an ending of its own shape", () => {
  const ending = { status: "ok", stopReason: "agreed", score: 0.5, outcome: { a: 1 }, error: null };
  const error = { code: "agent_failed", message: "no", role: "a", hop: 1, stack: "at" };
  const code = (value: unknown) =>
    fieldCode(
      { [PARCEL.ending]: typeof value === "string" ? value : JSON.stringify(value) },
      "end",
    );
  for (const change of [
    {},
    { status: "failed", error },
    { status: "failed", error: { ...error, role: null, hop: null } },
    { status: "lost", stopReason: "lost" },
    { score: null, outcome: null },
  ])
    expect(code({ ...ending, ...change })).toBe("read");
  for (const change of [
    { status: "fine" },
    { stopReason: "tired" },
    { score: "1" },
    { outcome: [] },
    { outcome: 1 },
    { error: "no" },
    { error: {} },
    { error: { ...error, message: 1 } },
    { error: { ...error, role: 1 } },
    { error: { ...error, hop: "1" } },
  ])
    expect(code({ ...ending, ...change })).toBe("wire_invalid");
  for (const value of ["", "{", "null", "[]", "1"]) expect(code(value)).toBe("wire_invalid");
  expect(fieldCode({ [PARCEL.ending]: null }, "end")).toBe("wire_invalid");
});

test("a parcel has all of its fields, and a batch all of its lists", () => {
  const [parcels] = unpack(good) as [unknown[][]];
  const fields = parcels[0] ?? [];
  expect(fields).toHaveLength(PARCEL_FIELDS);
  for (const one of [fields.slice(1), [...fields, 1], {}, null, "x"])
    expect(codeOf(() => decode(pack([[one], [], []])))).toBe("wire_invalid");
  for (const other of [null, 1, "x", {}, [], [[], []], [[], [], [], []], [{}, [], []], [[], 1, []]])
    expect(codeOf(() => decode(pack(other)))).toBe("wire_invalid");
  for (const starting of [[[1]], [[1, 2, 3]], [[1, -1]], [["1", 2]], [1], {}])
    expect(codeOf(() => decode(pack([[], [], starting])))).toBe("wire_invalid");
  for (const released of [[-1], ["1"], [1.5], {}])
    expect(codeOf(() => decode(pack([[], released, []])))).toBe("wire_invalid");
  expect(decode(pack([[], [0], [[0, 0]]]))).toEqual({
    batch: { parcels: [], released: [0], starting: [[0, 0]] },
    incomplete: [],
  });
});

test("a parcel is incomplete when it rests on a mark that this process does not have", () => {
  const body = withFields({ [PARCEL.seq]: 41, [PARCEL.since]: 8 });
  const asked: [string, number][] = [];
  const find = (key: string, mark: number) => {
    asked.push([key, mark]);
    return null;
  };
  expect(decodeBatch(body, find, 5000)).toEqual({
    batch: { parcels: [], released: [], starting: [] },
    incomplete: [41],
  });
  expect(asked).toEqual([["@a:1", 8]]);
});

test("a parcel that rests on a mark is joined with what this process has", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const body = withFields({ [PARCEL.since]: 8, [PARCEL.history]: bytes("3,4") });
  const known = { mark: 8, row: bytes('{"n":1}'), history: bytes("1,2,") };
  const { batch } = decodeBatch(body, () => known, 5000);
  const task = batch.parcels[0]?.message.task;
  expect([task?.row, task?.history as unknown]).toEqual([{ n: 1 }, [1, 2, 3, 4]]);
});

test("an answer is three lists that fit, or null", () => {
  const load = { work: { busy: 1, queued: 2, slots: 3 } };
  const code = (value: unknown) => codeOf(() => decodeAnswer(pack(value)));
  for (const value of [null, [[], [], {}], [[0], [1], load]]) expect(code(value)).toBe("read");
  for (const value of [
    1,
    {},
    [[], []],
    [[], [], {}, []],
    [[-1], [], {}],
    [[], ["1"], {}],
    [[], [], null],
    [[], [], []],
    [[], [], { work: null }],
    [[], [], { work: [1, 2, 3] }],
    [[], [], { work: { busy: 1, queued: 2 } }],
    [[], [], { work: { busy: 1, queued: 2, slots: -1 } }],
    [[], [], { work: { busy: "1", queued: 2, slots: 3 } }],
  ])
    expect(code(value)).toBe("wire_invalid");
});

const readers: readonly (readonly [
  name: string,
  good: Uint8Array,
  read: (body: Uint8Array) => unknown,
])[] = [
  ["a batch", good, decode],
  ["an answer", goodAnswer, decodeAnswer],
  ...(
    ["join", "welcome", "beat", "heard", "permits", "leave", "census", "counted", "logs"] as const
  ).map(
    (kind: ControlKind) =>
      [
        kind,
        pack({ run: "r", roles: [] }),
        (body: Uint8Array) => decodeControl(kind, body),
      ] as const,
  ),
];

test.each(readers)(
  "%s from bytes with some of them changed is read or refused",
  (_name, body, read) => {
    const edits = fc.array(fc.tuple(fc.nat(body.length - 1), fc.integer({ min: 0, max: 255 })), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(edits, (list) => {
        const changed = Buffer.from(body);
        for (const [index, value] of list) changed[index] = value;
        expect(["read", "wire_invalid"]).toContain(codeOf(() => read(changed)));
      }),
      { numRuns: 200 },
    );
  },
);

test.each(readers)("%s from any bytes, or any value, is read or refused", (_name, _body, read) => {
  const value = fc.oneof(
    fc.uint8Array({ maxLength: 100 }),
    fc.anything({ maxDepth: 3 }).map((any) => pack(JSON.parse(JSON.stringify(any) ?? "null"))),
  );
  fc.assert(
    fc.property(value, (body) => {
      expect(["read", "wire_invalid"]).toContain(codeOf(() => read(body)));
    }),
    { numRuns: 200 },
  );
});

test("a state that is nested too deeply is refused, and so is a body of nothing but lists", () => {
  const text = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
  expect(fieldCode({ [PARCEL.state]: text(264) })).toBe("read");
  expect(fieldCode({ [PARCEL.state]: text(265) })).toBe("wire_invalid");
  expect(fieldCode({ [PARCEL.state]: text(50_000) })).toBe("wire_invalid");
  // 0x91 begins a list of one.
  expect(codeOf(() => decode(Buffer.alloc(1_000_000, 0x91)))).toBe("wire_invalid");
});
