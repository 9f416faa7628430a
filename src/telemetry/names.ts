// Every span, attribute and metric name that the program emits, spelled as emitted. `gen_ai.*`,
// `error.type`, `process.*` and `service.*` are OpenTelemetry's semantic conventions; `matrix.*` is
// ours. Prometheus writes "_" for "." and adds `_total` to counters.

export const SPAN = {
  /** The root of a task's trace. */
  task: "matrix.task",
} as const;

export const ATTRIBUTE = {
  operation: "gen_ai.operation.name",
  agent: "gen_ai.agent.name",
  requestModel: "gen_ai.request.model",
  inputTokens: "gen_ai.usage.input_tokens",
  outputTokens: "gen_ai.usage.output_tokens",
  errorType: "error.type",
  run: "matrix.run",
  row: "matrix.row.id",
  trial: "matrix.trial",
  hop: "matrix.hop",
  host: "matrix.host",
  /** Milliseconds in the role's queue before the agent began. */
  queueMs: "matrix.queue_ms",
  status: "matrix.status",
  stopReason: "matrix.stop_reason",
} as const;

export const METRIC = {
  /** Steps that run, by role. */
  roleBusy: "matrix.role.busy",
  /** Steps that wait for a slot, by role. */
  roleQueued: "matrix.role.queued",
  roleSlots: "matrix.role.slots",
  /**
   * Messages in custody, by state: held (by this host), sent (to a host that has not handed it on
   * yet), parked (no host can take it).
   */
  messages: "matrix.messages",
  messagesRedelivered: "matrix.messages.redelivered",
  messagesDuplicate: "matrix.messages.duplicate",
  /** Messages that were answered "overloaded". */
  messagesRefused: "matrix.messages.refused",
  /** Tasks recorded as failed because hosts died with them. */
  messagesPoisoned: "matrix.messages.poisoned",
  /** Requests from processes that are no members, and broken ones, by reason. */
  requestsRefused: "matrix.requests.refused",
  /** Tasks recorded, by status: ok, failed, lost. */
  tasks: "matrix.tasks",
  tasksInFlight: "matrix.tasks.in_flight",
  tasksExpected: "matrix.tasks.expected",
  /** Tokens of models, by type: input, output. */
  tokens: "matrix.tokens",
  /** Requests that a replica of a model has, by model and replica. */
  modelInFlight: "matrix.model.in_flight",
  /** Requests that a replica gets at once, found by use. */
  modelWindow: "matrix.model.window",
  /** 1 while the replica can be reached, otherwise 0. */
  modelUp: "matrix.model.up",
  /** Requests that wait for a replica with room, by model. */
  modelWaiting: "matrix.model.waiting",
  /** Seconds by which timers fire late. */
  eventLoopLag: "matrix.event_loop.lag_seconds",
  memory: "process.memory.usage",
} as const;

/** Labels of metrics. They are short because queries repeat them. */
export const LABEL = {
  role: "role",
  state: "state",
  reason: "reason",
  status: "status",
  type: "type",
  model: "model",
  replica: "replica",
} as const;
