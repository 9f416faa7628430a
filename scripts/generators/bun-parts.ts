// The parts of Bun in the binary, as the LICENSE.md of Bun lists them: the libraries that it links,
// and the packages that it carries. Look at that list when Bun is upgraded.

export interface Part {
  readonly name: string;
  /** An SPDX expression. */
  readonly license: string;
  readonly url: string;
}

const GITHUB = "https://github.com/";

const LINKED: readonly (readonly [name: string, license: string, place: string])[] = [
  ["JavaScriptCore", "LGPL-2.0-or-later", "oven-sh/WebKit"],
  ["WebCore", "LGPL-2.0-or-later", "oven-sh/WebKit"],
  ["tinycc", "LGPL-2.1-only", "tinycc/tinycc"],
  ["boringssl", "OpenSSL AND ISC AND MIT AND Apache-2.0", "google/boringssl"],
  ["brotli", "MIT", "google/brotli"],
  ["libarchive", "BSD-2-Clause", "libarchive/libarchive"],
  ["lol-html", "BSD-3-Clause", "cloudflare/lol-html"],
  ["ls-hpack", "MIT", "litespeedtech/ls-hpack"],
  ["ls-qpack", "MIT", "litespeedtech/ls-qpack"],
  ["lsquic", "MIT AND BSD-3-Clause", "litespeedtech/lsquic"],
  ["mimalloc", "MIT", "microsoft/mimalloc"],
  ["picohttpparser", "MIT", "h2o/picohttpparser"],
  ["zstd", "BSD-3-Clause", "facebook/zstd"],
  ["simdutf", "Apache-2.0", "simdutf/simdutf"],
  ["uSockets", "Apache-2.0", "uNetworking/uSockets"],
  ["uWebSockets", "Apache-2.0", "uNetworking/uWebSockets"],
  ["zlib-ng", "Zlib", "zlib-ng/zlib-ng"],
  ["c-ares", "MIT", "c-ares/c-ares"],
  ["ICU", "Unicode-3.0", "unicode-org/icu"],
  ["base64", "BSD-2-Clause", "aklomp/base64"],
  ["libdeflate", "MIT", "ebiggers/libdeflate"],
  ["libjpeg-turbo", "BSD-3-Clause AND IJG AND Zlib", "libjpeg-turbo/libjpeg-turbo"],
  ["libspng", "BSD-2-Clause", "randy408/libspng"],
  ["libwebp", "BSD-3-Clause", "webmproject/libwebp"],
  ["highway", "Apache-2.0", "google/highway"],
  ["uucode", "MIT", "jacobsandlund/uucode"],
  ["tigerbeetle", "Apache-2.0", "tigerbeetle/tigerbeetle"],
  ["libc++abi", "Apache-2.0 WITH LLVM-exception", "llvm/llvm-project"],
  ["esbuild", "MIT", "evanw/esbuild"],
];

/** Packages of npm, all under MIT. */
const CARRIED = [
  ...["acorn", "acorn-walk", "assert", "browserify-zlib", "buffer", "constants-browserify"],
  ...["crypto-browserify", "domain-browser", "events", "https-browserify", "os-browserify"],
  ...["path-browserify", "process", "punycode", "querystring-es3", "stream-browserify"],
  ...["stream-http", "string_decoder", "timers-browserify", "tty-browserify", "url", "util"],
  "vm-browserify",
];

export const BUN_PARTS: readonly Part[] = [
  ...LINKED.map(([name, license, place]) => ({ name, license, url: GITHUB + place })),
  ...CARRIED.map((name) => ({ name, license: "MIT", url: `https://npmjs.com/package/${name}` })),
];
