// The program's version, from package.json, and the build that this is. The compiler embeds both.

import manifest from "../package.json" with { type: "json" };

/** Set by scripts/build for the binaries of a release. */
declare const MATRIX_COMMIT: string | undefined;
declare const MATRIX_TARGET: string | undefined;

export const version: string = manifest.version;

/** Twelve digits of the commit of a release. */
const commit = typeof MATRIX_COMMIT === "undefined" ? "from source" : MATRIX_COMMIT;
const target =
  typeof MATRIX_TARGET === "undefined" ? `${process.platform}-${process.arch}` : MATRIX_TARGET;

/** For example `0.1.0 (48b5e70f3a1c, linux-x64-musl)`. */
export function fullVersion(): string {
  // Wheels for Linux have the data of one language.
  const locales = new Intl.NumberFormat("de").format(0.5) === "0,5" ? "" : ", English locales";
  return `${version} (${commit}, ${target}${locales})`;
}
