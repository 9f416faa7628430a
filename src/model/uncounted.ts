// Tokens that an endpoint does not count. They are estimated by the length of the texts, a token
// for every four characters, so that budgets and limits hold. The usage says that it is estimated.

import type { Usage } from "../task/task.ts";
import type { ModelContext } from "./context.ts";
import type { ChatAnswer, ChatRequest } from "./contract.ts";
import { countTokens, estimateUsage } from "./simulated.ts";

/** Makes the function that completes the usage of a model's answers. It warns once. */
export function completeUsage(
  name: string,
  say: ModelContext["say"],
): (request: ChatRequest, answer: ChatAnswer) => Usage {
  let hasWarned = false;
  return (request, answer) => {
    const { usage, message } = answer;
    const estimate = estimateUsage(request, message);
    const written = estimate.completion_tokens + countTokens(reasoningOf(message));
    // An answer without text is an error of the endpoint, which bills nothing.
    if (written === 0) return usage;
    const isPromptCounted = usage.prompt_tokens > 0;
    const isAnswerCounted = usage.completion_tokens > 0;
    if (isPromptCounted && isAnswerCounted) return usage;
    if (!hasWarned)
      say(
        "warning",
        `models.${name}: the endpoint does not count its tokens. They are estimated, a token for ` +
          "every four characters, and so is their cost",
      );
    hasWarned = true;
    const tools = request.tools === undefined ? 0 : countTokens(JSON.stringify(request.tools));
    return {
      ...usage,
      prompt_tokens: isPromptCounted ? usage.prompt_tokens : estimate.prompt_tokens + tools,
      completion_tokens: isAnswerCounted ? usage.completion_tokens : written,
      estimated_requests: 1,
    };
  };
}

function reasoningOf({ reasoning_content, reasoning }: ChatAnswer["message"]): string {
  const text = reasoning_content ?? reasoning;
  return typeof text === "string" ? text : "";
}
