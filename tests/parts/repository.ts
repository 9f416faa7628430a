// Where the files of this repository are, for tests that read them or run in them.

import { join, resolve } from "node:path";

export const ROOT = resolve(import.meta.dir, "../..");
export const CORAL = join(ROOT, "recipes/coral.toml");
export const DUMMY = join(ROOT, "recipes/coral-dummy.toml");
