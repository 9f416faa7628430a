// The program's version, from package.json: embedded by the compiler.

import manifest from "../package.json" with { type: "json" };

export const version: string = manifest.version;
