// The metrics of a process as one table: each with its kind, unit and description, and how it is
// read off an observation of the process. The owners of the numbers count; this file only reads.

import { LABEL, METRIC } from "./names.ts";

/** The state of a process. Counts only grow. */
export interface Observation {
  readonly roles: Iterable<{
    readonly name: string;
    readonly busy: number;
    readonly queued: number;
    readonly slots: number;
  }>;
  /** Null in a process that holds no messages. */
  readonly broker: Readonly<
    Record<
      "held" | "sent" | "parked" | "redelivered" | "duplicates" | "refused" | "poisoned",
      number
    >
  > | null;
  /** By reason. */
  readonly refusedRequests: Readonly<Record<string, number>>;
  /** Null in a process that is not the driver. */
  readonly tasks: Readonly<
    Record<"inFlight" | "ok" | "failed" | "lost" | "expected", number>
  > | null;
  readonly models: Iterable<{
    readonly model: string;
    readonly waiting: number;
    readonly replicas: Iterable<{
      readonly replica: string;
      readonly isUp: boolean;
      readonly inFlight: number;
      readonly window: number;
    }>;
  }>;
  /** The spending of the run; null in a process that is not the driver. */
  readonly spent: Readonly<Record<"cost" | "prompt_tokens" | "completion_tokens", number>> | null;
}

type Labels = Readonly<Record<string, string>>;
/** Reports one value of the metric that is read. */
type Report = (value: number, labels?: Labels) => void;

export interface ObservedMetric {
  readonly kind: "gauge" | "counter";
  readonly unit: string;
  readonly description: string;
  readonly read: (observation: Observation, report: Report) => void;
}

/** The metrics that are observed when they are read, by name. */
export const OBSERVED_METRICS: Readonly<Record<string, ObservedMetric>> = {
  [METRIC.roleBusy]: ofRoles("Steps that run.", ({ busy }) => busy),
  [METRIC.roleQueued]: ofRoles("Steps that wait for a slot.", ({ queued }) => queued),
  [METRIC.roleSlots]: ofRoles("Steps that can run at once.", ({ slots }) => slots),
  [METRIC.messages]: {
    kind: "gauge",
    unit: "{message}",
    description: "Messages in custody.",
    read: ({ broker }, report) => {
      if (broker === null) return;
      for (const state of ["held", "sent", "parked"] as const)
        report(broker[state], { [LABEL.state]: state });
    },
  },
  [METRIC.messagesRedelivered]: ofBroker(
    "Messages sent again because their host died.",
    "redelivered",
  ),
  [METRIC.messagesDuplicate]: ofBroker(
    "Messages dropped because they had arrived before.",
    "duplicates",
  ),
  [METRIC.messagesRefused]: ofBroker("Messages refused because the host was full.", "refused"),
  [METRIC.messagesPoisoned]: ofBroker("Tasks given up because hosts died with them.", "poisoned"),
  [METRIC.requestsRefused]: {
    kind: "counter",
    unit: "{request}",
    description: "Requests refused before anything in them was believed.",
    read: ({ refusedRequests }, report) => {
      for (const [reason, count] of Object.entries(refusedRequests))
        report(count, { [LABEL.reason]: reason });
    },
  },
  [METRIC.tasks]: {
    kind: "counter",
    unit: "{task}",
    description: "Tasks recorded.",
    read: ({ tasks }, report) => {
      if (tasks === null) return;
      for (const status of ["ok", "failed", "lost"] as const)
        report(tasks[status], { [LABEL.status]: status });
    },
  },
  [METRIC.tasksInFlight]: {
    kind: "gauge",
    unit: "{task}",
    description: "Tasks admitted and not yet recorded.",
    read: ({ tasks }, report) => {
      if (tasks !== null) report(tasks.inFlight);
    },
  },
  [METRIC.tasksExpected]: {
    kind: "gauge",
    unit: "{task}",
    description: "Records that the finished run will have.",
    read: ({ tasks }, report) => {
      if (tasks !== null) report(tasks.expected);
    },
  },
  [METRIC.modelInFlight]: ofReplicas(
    "{request}",
    "Requests that a replica has.",
    ({ inFlight }) => inFlight,
  ),
  [METRIC.modelWindow]: ofReplicas(
    "{request}",
    "Requests that a replica gets at once, found by use.",
    ({ window }) => window,
  ),
  [METRIC.modelUp]: ofReplicas("1", "1 while a replica is there.", ({ isUp }) => (isUp ? 1 : 0)),
  [METRIC.modelWaiting]: {
    kind: "gauge",
    unit: "{request}",
    description: "Requests that wait for a replica with room.",
    read: ({ models }, report) => {
      for (const { model, waiting } of models) report(waiting, { [LABEL.model]: model });
    },
  },
  [METRIC.runTokens]: {
    kind: "counter",
    unit: "{token}",
    description: "Tokens that the run has used, over all starts and hosts.",
    read: ({ spent }, report) => {
      if (spent === null) return;
      report(spent.prompt_tokens, { [LABEL.type]: "input" });
      report(spent.completion_tokens, { [LABEL.type]: "output" });
    },
  },
  [METRIC.runCost]: {
    kind: "counter",
    unit: "1",
    description: "Money that the run has spent, over all starts and hosts.",
    read: ({ spent }, report) => {
      if (spent !== null) report(spent.cost);
    },
  },
  [METRIC.memory]: {
    kind: "gauge",
    unit: "By",
    description: "Resident memory.",
    read: (_, report) => report(process.memoryUsage.rss()),
  },
};

type Role = Observation["roles"] extends Iterable<infer One> ? One : never;
type Model = Observation["models"] extends Iterable<infer One> ? One : never;
type Replica = Model["replicas"] extends Iterable<infer One> ? One : never;

function ofRoles(description: string, of: (role: Role) => number): ObservedMetric {
  return {
    kind: "gauge",
    unit: "{step}",
    description,
    read: ({ roles }, report) => {
      for (const role of roles) report(of(role), { [LABEL.role]: role.name });
    },
  };
}

function ofBroker(
  description: string,
  count: "redelivered" | "duplicates" | "refused" | "poisoned",
): ObservedMetric {
  return {
    kind: "counter",
    unit: "{message}",
    description,
    read: ({ broker }, report) => {
      if (broker !== null) report(broker[count]);
    },
  };
}

function ofReplicas(
  unit: string,
  description: string,
  of: (replica: Replica) => number,
): ObservedMetric {
  return {
    kind: "gauge",
    unit,
    description,
    read: ({ models }, report) => {
      for (const { model, replicas } of models)
        for (const replica of replicas)
          report(of(replica), { [LABEL.model]: model, [LABEL.replica]: replica.replica });
    },
  };
}
