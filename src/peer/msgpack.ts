// Plain MessagePack (https://msgpack.org): objects are maps and bytes are bytes. Each body stands
// for itself: nothing is learnt from one body for the next.

// The package's main entry loads a native addon, which crashes Deno; this one is JavaScript alone.
import { Packr } from "msgpackr/pack";
import { MatrixError } from "../error.ts";

const packr = new Packr({ useRecords: false });

export function pack(value: unknown): Uint8Array {
  return packr.pack(value);
}

/** Bytes in the result are views of the body. Fails with `wire_invalid`. */
export function unpack(body: Uint8Array): unknown {
  try {
    return packr.unpack(body);
  } catch (cause) {
    throw new MatrixError("wire_invalid", "the body is not MessagePack", { cause });
  }
}
