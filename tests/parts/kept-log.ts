// A log that keeps its lines, for tests that assert them.

import type { Log } from "../../src/telemetry/log.ts";

/** Lines are `level message`, with the fields as JSON where there are any. */
export function keptLog(): { readonly log: Log; readonly lines: string[] } {
  const lines: string[] = [];
  const log: Log = {
    write: (level, message, fields) =>
      void lines.push(
        `${level} ${message}${fields === undefined ? "" : ` ${JSON.stringify(fields)}`}`,
      ),
    close: async () => undefined,
  };
  return { log, lines };
}
