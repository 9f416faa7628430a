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
  provider: "gen_ai.provider.name",
  requestModel: "gen_ai.request.model",
  responseModel: "gen_ai.response.model",
  finishReasons: "gen_ai.response.finish_reasons",
  inputTokens: "gen_ai.usage.input_tokens",
  outputTokens: "gen_ai.usage.output_tokens",
  cachedTokens: "gen_ai.usage.cache_read.input_tokens",
  cacheWriteTokens: "gen_ai.usage.cache_creation.input_tokens",
  reasoningTokens: "gen_ai.usage.reasoning.output_tokens",
  serverAddress: "server.address",
  serverPort: "server.port",
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
  /** Money that the run has spent, over all its starts and hosts. */
  runCost: "matrix.run.cost",
  /** Tokens that the run has used, over all its starts and hosts, by type: input, output. */
  runTokens: "matrix.run.tokens",
  /** Tokens that this process spent, by model and type: input, cached, cache_write, and so on. */
  tokens: "matrix.tokens",
  /** Money that this process spent, by model. */
  cost: "matrix.cost",
  /** Tries of requests to models, by model and code: ok, or the code of the error. */
  modelRequests: "matrix.model.requests",
  /** Seconds of a try of a request, a convention of OpenTelemetry. */
  operationDuration: "gen_ai.client.operation.duration",
  /** Tokens of an answer by type, a convention of OpenTelemetry. */
  tokenUsage: "gen_ai.client.token.usage",
  /** Seconds of a step in its agent, by role and code. */
  hopDuration: "matrix.hop.duration_seconds",
  /** Seconds of a step in the queue of its role. */
  hopQueue: "matrix.hop.queue_seconds",
  /** Seconds from the admission of a task to its end, by status. */
  taskDuration: "matrix.task.duration_seconds",
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
  code: "code",
  replica: "replica",
  tokenType: "gen_ai.token.type",
} as const;
