// The format of batches and their answers: one MessagePack array a body (https://msgpack.org).
// Lists have a fixed length and their fields stand in the order below; encode.ts and decode.ts both
// go by these names.
//
//     batch    = [parcels, released, starting]
//     released = [seq …]
//     starting = [[seq, position] …]
//     answer   = [refused, incomplete, load], or null from a receiver that does not know the sender
//     refused, incomplete = [seq …]
//     load     = { role: { busy, queued, slots } }
//
// Rows and histories travel as the JSON bytes that they are, untouched from host to host. States
// and endings are JSON text, so that no number changes its type on the way.

/** The fields of a parcel. */
export const PARCEL = indexesOf([
  "seq",
  "crashes",
  "strikes",
  "kind", // step, fork or end
  "rowId",
  "trial",
  "seed",
  "attempt",
  "role",
  "state", // JSON text
  "ageMs", // since admission: clocks of hosts differ, so times do not travel
  "trace",
  "totals",
  "trail", // [[host, id, bytes] …]: the marks of the processes that had the task
  "pins", // [[sandbox, host] …]
  "since", // the receiver's mark up to which row and history are left out; null when they are whole
  "row", // JSON bytes; none after a mark
  "history", // JSON bytes, those after the mark
  "ending", // JSON text; null unless the kind is end
  "branch", // [of, id, limit], or null; the limit is [tokens, cost, calls], or null
  "mayRepeat", // true or false
]);

/** The fields of a parcel's totals, which are sums over its history. */
export const TOTALS = indexesOf([
  "hops",
  "queueMs",
  "runMs",
  "requests",
  "promptTokens",
  "completionTokens",
  "details", // a list in the order of USAGE_DETAILS
  "cost",
  "models",
]);

export const PARCEL_FIELDS = Object.keys(PARCEL).length;
export const TOTALS_FIELDS = Object.keys(TOTALS).length;

function indexesOf<const Names extends readonly string[]>(
  names: Names,
): Readonly<Record<Names[number], number>> {
  return Object.fromEntries(names.map((name, index) => [name, index])) as Record<
    Names[number],
    number
  >;
}
