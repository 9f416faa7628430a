// Records how long steps waited and took, by role. The series of a role are looked up once, because
// steps of code take microseconds.

import { LABEL, METRIC } from "../telemetry/names.ts";
import type { Histogram, Recorder } from "../telemetry/recorder.ts";

interface RoleSeries {
  readonly queue: Histogram;
  readonly ok: Histogram;
}

export class HopMeter {
  readonly #recorder: Recorder;
  readonly #roles = new Map<string, RoleSeries>();

  constructor(recorder: Recorder) {
    this.#recorder = recorder;
  }

  /** `code` is "ok", or the code of the error that ended the step. */
  record(role: string, queueMs: number, runMs: number, code: string): void {
    const { queue, ok } = this.#roles.get(role) ?? this.#add(role);
    queue.record(Math.max(0, queueMs) / 1000);
    const duration = code === "ok" ? ok : this.#duration(role, code);
    duration.record(Math.max(0, runMs) / 1000);
  }

  #add(role: string): RoleSeries {
    const queue = this.#recorder.histogram(METRIC.hopQueue, { [LABEL.role]: role });
    const series = { queue, ok: this.#duration(role, "ok") };
    this.#roles.set(role, series);
    return series;
  }

  #duration(role: string, code: string): Histogram {
    const labels = { [LABEL.role]: role, [LABEL.code]: code };
    return this.#recorder.histogram(METRIC.hopDuration, labels);
  }
}
