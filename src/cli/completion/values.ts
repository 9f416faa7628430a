// Values that only this machine knows: recipes, keys of a recipe, run directories, rows and roles.

import type { Candidate, ValuesOf } from "./candidates.ts";

export const valuesOf: ValuesOf = (): readonly Candidate[] => [];
