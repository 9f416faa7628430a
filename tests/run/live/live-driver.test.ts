// What the driver tells its own live page.

import { expect, test } from "bun:test";
import { createLiveDriver } from "../../../src/run/live/live-driver.ts";
import type { RunView } from "../../../src/run/run-view.ts";
import { METRIC } from "../../../src/telemetry/names.ts";
import { Recorder } from "../../../src/telemetry/recorder.ts";

type Present = NonNullable<RunView["playing"]>["fabric"]["present"];

const load = (busy: number) => ({ queued: 1, busy, slots: 4 });

/** A view whose parts that the page does not read are left out. */
function viewOf(present: Present): RunView {
  const playing = {
    run: { inFlight: 7 },
    fabric: { present, roles: [{ name: "judge", queued: 2, busy: 3, slots: 8 }] },
    stage: {
      models: [
        {
          model: "m",
          waiting: 0,
          replicas: [
            { replica: "http://a", isUp: true, inFlight: 2, window: 16 },
            { replica: "http://b", isUp: true, inFlight: 1, window: 8 },
          ],
        },
      ],
    },
  };
  const view = { playing, elapsedMs: 1500, isStopping: true, waitedFor: ["models.m.rpm"] };
  return view as unknown as RunView;
}

test("the driver tells what is in flight, its roles, its limits and its models with their errors", () => {
  const recorder = new Recorder();
  recorder.counter(METRIC.modelRequests, { model: "m", code: "ok" }).add(5);
  recorder.counter(METRIC.modelRequests, { model: "m", code: "timeout" }).add(2);
  recorder.counter(METRIC.modelRequests, { model: "other", code: "timeout" }).add(9);
  const live = createLiveDriver(() => viewOf([]), recorder)();
  expect(live).toEqual({
    ...{ inFlight: 7, elapsedMs: 1500, stopping: true, waitedFor: ["models.m.rpm"], hosts: [] },
    roles: [{ name: "judge", queued: 2, busy: 3, slots: 8 }],
    models: [
      {
        ...{ name: "m", replica: "http://a", inFlight: 2, window: 16, requests: 7 },
        errors: [{ name: "timeout", count: 2 }],
      },
      { name: "m", replica: "http://b", inFlight: 1, window: 8, requests: 0, errors: [] },
    ],
  });
});

test("a host that has left stays on the list as gone, and one that comes back is alive", () => {
  const worker = { name: "w1", leaving: false, load: { judge: load(1), student: load(2) } };
  let present: Present = [worker, { name: "w2", leaving: true, load: {} }];
  const live = createLiveDriver(() => viewOf(present), new Recorder());
  const states = () => live().hosts.map(({ name, state }) => `${name} ${state}`);
  expect(live().hosts[0]).toEqual({
    ...{ name: "w1", state: "alive", roles: ["judge", "student"], queued: 2, busy: 3, slots: 8 },
  });
  expect(states()).toEqual(["w1 alive", "w2 leaving"]);
  present = [];
  expect(states()).toEqual(["w1 gone", "w2 gone"]);
  expect(live().hosts[0]).toMatchObject({ queued: 0, busy: 0, slots: 0 });
  present = [worker];
  expect(states()).toEqual(["w1 alive", "w2 gone"]);
});

test("a run that is being opened has nothing in flight", () => {
  const view = { playing: null, elapsedMs: 0, isStopping: false, waitedFor: [] };
  const live = createLiveDriver(() => view as unknown as RunView, new Recorder());
  expect(live()).toMatchObject({ inFlight: 0, roles: [], hosts: [], models: [] });
});
