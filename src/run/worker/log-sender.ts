// Sends the lines of a host's log to the driver. Lines that cannot be sent wait, and the oldest are
// dropped when there are too many.

import type { DriverCalls } from "../../host/driver-calls.ts";
import type { StreamedLog } from "../../telemetry/streamed-log.ts";

const EVERY_MS = 250;
const LINES_MAX = 500;
const TIMEOUT_MS = 20_000;

export class LogSender {
  readonly #driver: DriverCalls;
  readonly #name: string;
  readonly #log: StreamedLog;
  readonly #timer: NodeJS.Timeout;

  /** `name` is the host's. */
  constructor(driver: DriverCalls, name: string, log: StreamedLog) {
    this.#driver = driver;
    this.#name = name;
    this.#log = log;
    this.#timer = setInterval(() => void this.#send(), EVERY_MS);
  }

  /** Sends what is left, once. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#send();
  }

  async #send(): Promise<void> {
    const lines = this.#log.take(LINES_MAX);
    if (lines.length === 0) return;
    const copies = lines.map((line) => ({ ...line, fields: { ...line.fields } }));
    const sent = await this.#driver
      .call("logs", "logs", { name: this.#name, lines: copies }, "done", TIMEOUT_MS)
      .catch(() => undefined);
    if (sent === undefined) this.#log.giveBack(lines);
  }
}
