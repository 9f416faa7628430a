// The progress of a server that reads the records of a run for the first time; null while it does
// not.

import { signal } from "@preact/signals";
import type { Opening } from "../../api.ts";

export const opening = signal<Opening["opening"] | null>(null);
