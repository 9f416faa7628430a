// A log that keeps nothing, for objects under test that need one.

import type { Log } from "../../src/telemetry/log.ts";

export const quiet: Log = { write: () => undefined, close: async () => undefined };
