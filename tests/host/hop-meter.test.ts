import { expect, test } from "bun:test";
import { HopMeter } from "../../src/host/hop-meter.ts";
import { METRIC } from "../../src/telemetry/names.ts";
import { Recorder } from "../../src/telemetry/recorder.ts";

test("steps are timed in seconds by role and code, and their waits by role", () => {
  const recorder = new Recorder();
  const meter = new HopMeter(recorder);
  meter.record("a", 1500, 250, "ok");
  meter.record("a", 500, 750, "agent_failed");
  // The wall clock may step back.
  meter.record("b", -5, -1, "ok");
  const read = [...recorder.metrics].map(([name, series]) => [
    name,
    [...series].map(({ labels, data }) => [labels, "sum" in data ? [data.count, data.sum] : null]),
  ]);
  expect(read).toEqual([
    [
      METRIC.hopQueue,
      [
        [{ role: "a" }, [2, 2]],
        [{ role: "b" }, [1, 0]],
      ],
    ],
    [
      METRIC.hopDuration,
      [
        [{ role: "a", code: "ok" }, [1, 0.25]],
        [{ role: "a", code: "agent_failed" }, [1, 0.75]],
        [{ role: "b", code: "ok" }, [1, 0]],
      ],
    ],
  ]);
});
