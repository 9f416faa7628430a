// The facts that the driver tells its own live page beside the files: hosts, roles, models, and
// what is in flight.

import { LABEL, METRIC } from "../../telemetry/names.ts";
import type { Recorder } from "../../telemetry/recorder.ts";
import type { LiveDriver, LiveHost, LiveModel, NamedCount } from "../../view/api.ts";
import type { RunView } from "../run-view.ts";

const OK = "ok";

/** Hosts that have left stay on the list, so that the page tells of them. */
export function createLiveDriver(view: () => RunView, recorder: Recorder): () => LiveDriver {
  const seen = new Map<string, LiveHost>();
  return () => {
    const { playing, elapsedMs, isStopping, waitedFor } = view();
    const present = (playing?.fabric.present ?? []).map(hostOf);
    for (const [name, host] of seen) seen.set(name, { ...host, ...GONE });
    for (const host of present) seen.set(host.name, host);
    return {
      inFlight: playing?.run.inFlight ?? 0,
      elapsedMs,
      stopping: isStopping,
      waitedFor,
      roles:
        playing?.fabric.roles.map(({ name, queued, busy, slots }) => ({
          ...{ name, queued, busy, slots },
        })) ?? [],
      hosts: [...seen.values()],
      models: (playing?.stage.models ?? []).flatMap((model) => modelsOf(model, recorder)),
    };
  };
}

const GONE = { state: "gone", queued: 0, busy: 0, slots: 0 } as const;

type Playing = NonNullable<RunView["playing"]>;

function hostOf({ name, leaving, load }: Playing["fabric"]["present"][number]): LiveHost {
  const sum = { queued: 0, busy: 0, slots: 0 };
  for (const { queued, busy, slots } of Object.values(load)) {
    sum.queued += queued;
    sum.busy += busy;
    sum.slots += slots;
  }
  return { name, state: leaving ? "leaving" : "alive", roles: Object.keys(load), ...sum };
}

/** Requests are counted by model, and not by replica: the first replica has the counts. */
function modelsOf(
  { model, replicas }: Playing["stage"]["models"][number],
  recorder: Recorder,
): readonly LiveModel[] {
  const counts = requestsOf(model, recorder);
  return replicas.map(({ replica, inFlight, window }, index) => ({
    ...{ name: model, replica, inFlight, window },
    requests: index === 0 ? counts.reduce((sum, { count }) => sum + count, 0) : 0,
    errors: index === 0 ? counts.filter(({ name }) => name !== OK) : [],
  }));
}

/** Tries of requests to a model, by what came of them. */
function requestsOf(model: string, recorder: Recorder): readonly NamedCount[] {
  const counts: NamedCount[] = [];
  for (const [name, all] of recorder.metrics) {
    if (name !== METRIC.modelRequests) continue;
    for (const { labels, data } of all)
      if (labels[LABEL.model] === model && "value" in data)
        counts.push({ name: String(labels[LABEL.code]), count: data.value });
  }
  return counts;
}
