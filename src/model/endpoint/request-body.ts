// The body of a request. One with attachments is sent in pieces, whose length is known before.

import { randomUUID } from "node:crypto";
import type { JsonObject } from "../../task/json.ts";
import { Attachment } from "../attachment.ts";

/** A body that is made while it is sent, once for each try. */
export interface StreamedBody {
  readonly bytes: number;
  readonly pieces: () => AsyncIterable<string>;
}

export type RequestBody = string | StreamedBody;

/** Encodes a body. With `mayAttach`, each value is looked at, because it may be an attachment. */
export function encodeBody(body: JsonObject, mayAttach: boolean): RequestBody {
  if (!mayAttach) return JSON.stringify(body);
  const attachments: Attachment[] = [];
  // No text of a row can hold it, because it is new.
  const mark = randomUUID();
  const text = JSON.stringify(body, function (this: Record<string, unknown>, key, value) {
    const original = this[key];
    if (!(original instanceof Attachment)) return value;
    attachments.push(original);
    return mark;
  });
  if (attachments.length === 0) return text;
  const texts = text.split(mark);
  const lengths = [
    ...texts.map((part) => Buffer.byteLength(part)),
    ...attachments.map(({ textBytes }) => textBytes),
  ];
  return {
    bytes: lengths.reduce((sum, bytes) => sum + bytes, 0),
    pieces: async function* () {
      for (const [i, part] of texts.entries()) {
        yield part;
        const attachment = attachments[i];
        if (attachment !== undefined) yield* attachment.pieces();
      }
    },
  };
}
