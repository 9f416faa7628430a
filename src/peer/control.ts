// Control messages between hosts and the driver, which are small and rare, unlike batches. Each is
// a plain MessagePack map that is checked against its schema.
//
//     join     host → driver   A host asks to take part. The answer is the recipe with its files.
//     beat     host → driver   A host reports that it lives and how busy it is. The answer lists
//                              the other members and the tasks that have ended.
//     permits  host → driver   Requests wait for their turn at a model. The answer says when the
//                              first of them may go.
//     leave    host → driver   A host is gone.
//     census   driver → host   The driver asks which tasks a host has (src/driver/census.ts).
//     logs     host → driver   Lines of a host's log.
//     recorded host → driver   A host asks for the record of a task that is replayed.

import * as v from "valibot";
import { MatrixError } from "../error.ts";
import { spentEntries } from "../task/usage-schema.ts";
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

/** The spending of a process on models since it began. */
const spent = v.strictObject(spentEntries);

const SCHEMAS = {
  /** `replaces` is an earlier life of the host that is known to be over. */
  join: v.strictObject({ program: text, name: text, replaces: v.nullable(text) }),
  /** `refused` tells the reader of the host's log why the host may not join. */
  welcome: v.union([
    v.strictObject({ refused: text }),
    v.strictObject({
      run: text,
      /** The roles of the recipe. */
      roles: v.array(text),
      /** The steps of a replay that ask models (src/agent/replay-wish.ts); unset for other runs. */
      replay: v.optional(
        v.strictObject({
          roles: v.array(text),
          ask: v.array(text),
          from: v.nullable(v.union([text, count])),
          salt: count,
        }),
      ),
      bundle: v.strictObject({
        recipe: v.string(),
        files: v.record(v.string(), bytes),
        secrets: v.record(v.string(), v.string()),
      }),
    }),
  ]),
  /** `bytes` counts all request bodies that the host has sent to peers. */
  beat: v.strictObject({
    run: text,
    host,
    load,
    known: v.nullable(version),
    bytes: count,
    spent,
  }),
  /**
   * `ended` lists tasks, by row and trial, that ended since the last beat: the host can let go of
   * what it keeps for them. `list` is null when the host knows the list already.
   */
  heard: v.strictObject({
    state: v.picklist(["forming", "running", "stopped", "rejoin", "over"]),
    joining: text,
    /** The models whose requests wait for their turn. */
    rated: v.array(text),
    ended: v.array(v.strictTuple([v.string(), count])),
    list: v.nullable(v.strictObject({ version, members: v.array(member) })),
  }),
  /** `settled`: the tokens that earlier requests took beyond their estimates; may be negative. */
  permits: v.strictObject({
    model: text,
    tokens: v.array(count),
    settled: v.pipe(v.number(), v.safeInteger()),
  }),
  /** Milliseconds until each of the first requests may go; the others ask again. */
  turns: v.strictObject({ waits: v.array(v.pipe(v.number(), v.minValue(0))) }),
  leave: v.strictObject({ id: text, why: v.picklist(["left", "died"]), spent }),
  census: v.strictObject({ number: count, phase: v.picklist(["begin", "collect"]) }),
  /** Each task in custody with its latest attempt; null when the host cannot tell. */
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
  recorded: v.strictObject({ row: v.string(), trial: count }),
  /**
   * The record of a task that is replayed, null when there is none. `history` is JSON. `redraws`
   * counts the seeds that retries of the replay gave up.
   */
  recording: v.strictObject({
    redraws: count,
    record: v.nullable(
      v.strictObject({ seed: count, history: bytes, error: v.nullable(v.string()) }),
    ),
  }),
  done: v.null(),
} as const;

type Schemas = typeof SCHEMAS;
export type ControlKind = keyof Schemas;
export type Control<K extends ControlKind> = v.InferOutput<Schemas[K]>;

/** The kind is for the type checker alone: a route expects one kind. */
export function encodeControl<K extends ControlKind>(_kind: K, value: Control<K>): Uint8Array {
  return pack(value);
}

/** Fails with `wire_invalid` when the body does not fit the schema. */
export function decodeControl<K extends ControlKind>(kind: K, body: Uint8Array): Control<K> {
  const result = v.safeParse(SCHEMAS[kind], unpack(body));
  if (result.success) return result.output as Control<K>;
  const [issue] = result.issues;
  throw new MatrixError(
    "wire_invalid",
    `the body is not a valid ${kind}: ${v.getDotPath(issue) ?? "all of it"}: ${issue.message}`,
  );
}
