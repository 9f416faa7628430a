// Records what a model is asked and what it uses: each try with its time and what came of it, and
// each answer with its tokens and its cost.

import { MatrixError } from "../error.ts";
import type { Usage } from "../task/task.ts";
import { ATTRIBUTE, LABEL, METRIC } from "../telemetry/names.ts";
import type { Labels, Recorder } from "../telemetry/recorder.ts";
import type { ChatAnswer, Model } from "./contract.ts";
import type { Try } from "./retry.ts";

export type Described = Pick<Model, "name" | "id" | "provider">;

/** The same try, which is recorded. A try that the caller gave up is not. */
export function metered(attempt: Try, model: Described, recorder: Recorder): Try {
  return async (request, trying) => {
    let sentAt = performance.now();
    const permit = async (): Promise<void> => {
      await trying.permit();
      sentAt = performance.now();
    };
    const record = (code: string, labels: Labels): void => {
      const own = { [LABEL.model]: model.name, [LABEL.code]: code };
      recorder.counter(METRIC.modelRequests, own).add(1);
      const seconds = (performance.now() - sentAt) / 1000;
      recorder
        .histogram(METRIC.operationDuration, { ...operationOf(model), ...labels })
        .record(seconds);
    };
    try {
      const answer = await attempt(request, { ...trying, permit });
      record("ok", answeredBy(answer));
      return answer;
    } catch (thrown) {
      if (!trying.signal.aborted) {
        const code = thrown instanceof MatrixError ? thrown.code : "model_failed";
        record(code, { [ATTRIBUTE.errorType]: code });
      }
      throw thrown;
    }
  };
}

/** Counts an answer that was paid for. The parts of a prompt or an answer add up to all of it. */
export function recordSpent(
  recorder: Recorder,
  model: Described,
  { usage, cost = 0, ...answer }: Omit<ChatAnswer, "message" | "finishReason">,
): void {
  for (const [type, tokens] of Object.entries(partsOf(usage)))
    if (tokens > 0)
      recorder
        .counter(METRIC.tokens, { [LABEL.model]: model.name, [LABEL.type]: type })
        .add(tokens);
  if (cost > 0) recorder.counter(METRIC.cost, { [LABEL.model]: model.name }).add(cost);
  const labels = { ...operationOf(model), ...answeredBy(answer) };
  for (const [type, tokens] of [
    ["input", usage.prompt_tokens],
    ["output", usage.completion_tokens],
  ] as const)
    recorder.histogram(METRIC.tokenUsage, { ...labels, [LABEL.tokenType]: type }).record(tokens);
}

/** Tokens by kind, each counted once. */
function partsOf(usage: Usage): Readonly<Record<string, number>> {
  const { cached_tokens: cached = 0, cache_write_tokens: written = 0 } = usage;
  const { reasoning_tokens: reasoning = 0 } = usage;
  return {
    input: usage.prompt_tokens - cached - written,
    cached,
    cache_write: written,
    output: usage.completion_tokens - reasoning,
    reasoning,
  };
}

function operationOf({ id, provider }: Described): Labels {
  return {
    [ATTRIBUTE.operation]: "chat",
    [ATTRIBUTE.provider]: provider,
    [ATTRIBUTE.requestModel]: id,
  };
}

function answeredBy({
  responseModel,
  server,
}: Pick<ChatAnswer, "responseModel" | "server">): Labels {
  return {
    ...(responseModel === undefined ? {} : { [ATTRIBUTE.responseModel]: responseModel }),
    ...(server === undefined
      ? {}
      : { [ATTRIBUTE.serverAddress]: server.address, [ATTRIBUTE.serverPort]: server.port }),
  };
}
