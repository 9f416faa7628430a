// Traces by OpenTelemetry: one trace for each task and a span for each hop; the context travels
// inside the message (W3C traceparent). The SDK is loaded only when the OTEL_… variables ask for an
// export; without them there is no tracing object.

import type { Attributes, Context, Span } from "@opentelemetry/api";
import type { IdGenerator } from "@opentelemetry/sdk-trace-base";
import { masked } from "../known-secrets.ts";
import type { Usage } from "../task/task.ts";
import { ATTRIBUTE, SPAN } from "./names.ts";
import { createResource, createSpanExporter, type Environment, wantsOtlp } from "./otlp.ts";
import { WatchedExport } from "./patient-export.ts";

/** Times are milliseconds since the epoch. */
export interface Tracing {
  /**
   * Draws the ids of a task's trace and returns them as a traceparent, which travels with the task.
   */
  startTask(): string;
  hop(traceparent: string, hop: HopSpan): void;
  /**
   * Makes the task's own span at its end, under the ids that were drawn at its start in any
   * process.
   */
  endTask(traceparent: string, task: TaskSpan): void;
  /** Sends the spans that are left. Never fails: a failed export is reported on stderr. */
  close(): Promise<void>;
}

export interface HopSpan {
  readonly role: string;
  readonly host: string;
  readonly hop: number;
  readonly queuedAt: number;
  readonly startedAt: number;
  readonly endedAt: number;
  /** Set where a model was asked, even in vain. */
  readonly model?: string;
  readonly provider?: string;
  readonly asked?: Asked;
  readonly usage?: Usage;
  /** The code of the error that ended the hop. */
  readonly error?: string;
}

/** The way in which a model answered, as far as its endpoint says. */
export interface Asked {
  readonly finishReasons: readonly string[];
  readonly responseModel?: string;
  readonly server?: { readonly address: string; readonly port: number };
}

export interface TaskSpan {
  readonly rowId: string;
  readonly trial: number;
  readonly status: string;
  readonly stopReason: string;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly error?: string;
}

/** Returns null when the environment does not ask for traces. */
export async function createTracing(
  env: Environment,
  run: string,
  version: string,
): Promise<Tracing | null> {
  if (!wantsOtlp(env, "TRACES")) return null;
  const [api, sdk, exporter, resource] = await Promise.all([
    import("@opentelemetry/api"),
    import("@opentelemetry/sdk-trace-base"),
    createSpanExporter(env),
    createResource(version, { [ATTRIBUTE.run]: run }),
  ]);
  const exported = new WatchedExport("traces");
  const ids = new PresetIds(new sdk.RandomIdGenerator());
  const provider = new sdk.BasicTracerProvider({
    resource,
    idGenerator: ids,
    spanProcessors: [new sdk.BatchSpanProcessor(exported.watch(exporter))],
  });
  const tracer = provider.getTracer("matrix", version);
  const { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } = api;

  const end = (span: Span, endedAt: number, error: string | undefined): void => {
    if (error !== undefined)
      span
        .setAttribute(ATTRIBUTE.errorType, error)
        .setStatus({ code: SpanStatusCode.ERROR, message: error });
    span.end(endedAt);
  };
  const parentOf = (traceparent: string): Context => {
    const { traceId, spanId, sampled } = parseTraceparent(traceparent);
    return trace.setSpanContext(ROOT_CONTEXT, {
      traceId,
      spanId,
      traceFlags: sampled ? 1 : 0,
      isRemote: true,
    });
  };

  return {
    startTask: () => {
      // This span only lends its ids and the sampler's decision. It never ends, so it is never
      // exported.
      const { traceId, spanId, traceFlags } = tracer
        .startSpan(SPAN.task, { root: true })
        .spanContext();
      return `00-${traceId}-${spanId}-0${traceFlags}`;
    },
    hop: (traceparent, hop) => {
      if (!parseTraceparent(traceparent).sampled) return;
      const { startedAt, endedAt, model, role, error } = hop;
      const name = masked(`${operationOf(hop)} ${model ?? role}`);
      const kind = model === undefined ? SpanKind.INTERNAL : SpanKind.CLIENT;
      const options = { startTime: startedAt, kind, attributes: hopAttributes(hop) };
      end(tracer.startSpan(name, options, parentOf(traceparent)), endedAt, error);
    },
    endTask: (traceparent, task) => {
      const { traceId, spanId, sampled } = parseTraceparent(traceparent);
      if (!sampled) return;
      const options = { root: true, startTime: task.startedAt, attributes: taskAttributes(task) };
      const span = ids.with(traceId, spanId, () => tracer.startSpan(SPAN.task, options));
      end(span, task.endedAt, task.error);
    },
    close: () => exported.close(() => provider.shutdown()),
  };
}

function operationOf({ model }: HopSpan): "invoke_agent" | "chat" {
  return model === undefined ? "invoke_agent" : "chat";
}

function hopAttributes(span: HopSpan): Attributes {
  const { role, host, hop, queuedAt, startedAt, model, provider, asked, usage } = span;
  return {
    [ATTRIBUTE.operation]: operationOf(span),
    [ATTRIBUTE.agent]: role,
    [ATTRIBUTE.hop]: hop,
    [ATTRIBUTE.host]: host,
    [ATTRIBUTE.queueMs]: startedAt - queuedAt,
    // The SDK leaves out what is undefined.
    [ATTRIBUTE.provider]: provider,
    [ATTRIBUTE.requestModel]: model && masked(model),
    [ATTRIBUTE.responseModel]: asked?.responseModel && masked(asked.responseModel),
    [ATTRIBUTE.finishReasons]: asked?.finishReasons.map(masked),
    [ATTRIBUTE.serverAddress]: asked?.server && masked(asked.server.address),
    [ATTRIBUTE.serverPort]: asked?.server?.port,
    [ATTRIBUTE.inputTokens]: usage?.prompt_tokens,
    [ATTRIBUTE.outputTokens]: usage?.completion_tokens,
    [ATTRIBUTE.cachedTokens]: usage?.cached_tokens,
    [ATTRIBUTE.cacheWriteTokens]: usage?.cache_write_tokens,
    [ATTRIBUTE.reasoningTokens]: usage?.reasoning_tokens,
  };
}

function taskAttributes({ rowId, trial, status, stopReason }: TaskSpan): Attributes {
  return {
    [ATTRIBUTE.row]: masked(rowId),
    [ATTRIBUTE.trial]: trial,
    [ATTRIBUTE.status]: status,
    [ATTRIBUTE.stopReason]: stopReason,
  };
}

/** Parses a traceparent (W3C Trace Context, section 3.2). */
function parseTraceparent(traceparent: string): {
  traceId: string;
  spanId: string;
  sampled: boolean;
} {
  const [, traceId = "", spanId = "", flags = "00"] = traceparent.split("-");
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** Random ids, except for a span that must carry given ids. */
class PresetIds implements IdGenerator {
  readonly #random: IdGenerator;
  #preset: { readonly traceId: string; readonly spanId: string } | null = null;

  constructor(random: IdGenerator) {
    this.#random = random;
  }

  with<T>(traceId: string, spanId: string, make: () => T): T {
    this.#preset = { traceId, spanId };
    try {
      return make();
    } finally {
      this.#preset = null;
    }
  }

  generateTraceId = (): string => this.#preset?.traceId ?? this.#random.generateTraceId();
  generateSpanId = (): string => this.#preset?.spanId ?? this.#random.generateSpanId();
}
