// What hosts and driver say to each other beside batches: small and rare. Plain MessagePack maps, each checked against its
// schema before it is believed.
//
//     join    host → driver   who asks, with which program; the answer is the recipe with all its files
//     beat    host → driver   I am there, this busy; the answer says who else is, and which tasks ended
//     permits host → driver   requests wait for their turn at a model; the answer says when the first of them may go
//     leave   host → driver   this host is gone, in peace or not
//     census  driver → host   which tasks do you have? (src/driver/census.ts)
//     logs    host → driver   lines of the host's log

import * as v from "valibot";
import { MatrixError } from "../error.ts";
import { pack, unpack } from "./msgpack.ts";

const text = v.pipe(v.string(), v.maxLength(4096));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const bytes = v.custom<Uint8Array>((value) => value instanceof Uint8Array, "bytes");

const host = v.strictObject({
  id: text,
  name: text,
  roles: v.array(text),
  address: text,
  leaving: v.boolean(),
});
const member = v.strictObject({ ...host.entries, isSink: v.boolean() });
const load = v.record(v.string(), v.strictObject({ busy: count, queued: count, slots: count }));
const version = v.strictObject({ driver: text, version: count });

/** What a process has spent on models, since it began. */
const spent = v.strictObject({
  requests: count,
  prompt_tokens: count,
  completion_tokens: count,
  cost: v.pipe(v.number(), v.minValue(0)),
});

const SCHEMAS = {
  /** `replaces`: an earlier life of the host, which is known to be over. */
  join: v.strictObject({ program: text, name: text, replaces: v.nullable(text) }),
  /** `refused`: why not, for whoever reads the host's log. */
  welcome: v.union([
    v.strictObject({ refused: text }),
    v.strictObject({
      run: text,
      /** Roles that the recipe has. */
      roles: v.array(text),
      bundle: v.strictObject({
        recipe: v.string(),
        files: v.record(v.string(), bytes),
        secrets: v.record(v.string(), v.string()),
      }),
    }),
  ]),
  /** `bytes`: of all bodies that it sent to peers. */
  beat: v.strictObject({
    run: text,
    host,
    load,
    known: v.nullable(version),
    bytes: count,
    spent,
  }),
  /** `ended`: tasks, by row and trial, that ended since the last beat; nobody needs what this host keeps for them. */
  heard: v.strictObject({
    state: v.picklist(["forming", "running", "over"]),
    joining: text,
    /** Models whose requests wait for their turn. */
    rated: v.array(text),
    ended: v.array(v.strictTuple([v.string(), count])),
    list: v.nullable(v.strictObject({ version, members: v.array(member) })),
  }),
  /** `settled`: by how many tokens earlier requests came to more than was thought. */
  permits: v.strictObject({
    model: text,
    tokens: v.array(count),
    settled: v.pipe(v.number(), v.safeInteger()),
  }),
  /** Milliseconds until each of the first so many may go. */
  turns: v.strictObject({ waits: v.array(v.pipe(v.number(), v.minValue(0))) }),
  leave: v.strictObject({ id: text, why: v.picklist(["left", "died"]), spent }),
  census: v.strictObject({ number: count, phase: v.picklist(["begin", "collect"]) }),
  /** Each task in custody with its latest attempt; null when the host cannot say. */
  counted: v.nullable(v.array(v.strictTuple([v.string(), count]))),
  logs: v.strictObject({
    name: text,
    lines: v.array(
      v.strictObject({
        at: v.number(),
        level: v.picklist(["info", "warning", "error"]),
        message: v.string(),
        fields: v.record(v.string(), v.union([v.string(), v.number()])),
      }),
    ),
  }),
  done: v.null(),
} as const;

type Schemas = typeof SCHEMAS;
export type ControlKind = keyof Schemas;
export type Control<K extends ControlKind> = v.InferOutput<Schemas[K]>;

export function encodeControl<K extends ControlKind>(_kind: K, value: Control<K>): Uint8Array {
  return pack(value);
}

/** Fails with `wire_invalid`. */
export function decodeControl<K extends ControlKind>(kind: K, body: Uint8Array): Control<K> {
  const result = v.safeParse(SCHEMAS[kind], unpack(body));
  if (result.success) return result.output as Control<K>;
  const [issue] = result.issues;
  throw new MatrixError(
    "wire_invalid",
    `no ${kind}: ${v.getDotPath(issue) ?? "it"}: ${issue.message}`,
  );
}
