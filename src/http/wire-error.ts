// What a peer sent is not what the protocol says it sends: truncated, oversized, of the wrong shape. It is refused and counted.

export class WireError extends Error {
  override readonly name = "WireError";
}
