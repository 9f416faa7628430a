// The third-party software in the binary, as scripts/generate writes it down.

import text from "./notices.txt" with { type: "text" };

/** A package, or a part of the runtime. */
export interface ThirdParty {
  readonly name: string;
  /** Null where the runtime does not state it. */
  readonly version: string | null;
  /** An SPDX expression. */
  readonly license: string;
  readonly url: string;
  /** Hash of the package in its registry, in hexadecimal; null for a part of the runtime. */
  readonly sha512: string | null;
  /** Places of its texts in the list of texts. */
  readonly texts: readonly number[];
}

export interface Notices {
  readonly packages: readonly ThirdParty[];
  /** Bun and its parts. */
  readonly runtime: readonly ThirdParty[];
  /** Texts of licenses and notices, each once. */
  readonly texts: readonly string[];
}

export function readNotices(): Notices {
  return JSON.parse(text) as Notices;
}
