// Every span and attribute name that the program emits, spelled as emitted. `gen_ai.*` and `error.type` are OpenTelemetry's
// semantic conventions for generative AI; `matrix.*` is ours.

export const SPAN = {
  /** One per task, the root of its trace. */
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
