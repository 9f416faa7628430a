// Requests and answers for tests of kept answers.

import type { ChatAnswer, ChatRequest } from "../../../src/model/contract.ts";

export function requestOf(row: string, turn = 0, attempt = 1, mayRepeat = false): ChatRequest {
  return {
    messages: [{ role: "user", content: `${row}, turn ${turn}` }],
    seed: turn,
    sampling: { temperature: 1 },
    origin: { row, trial: 0, attempt, mayRepeat, role: "r", turn },
  };
}

export function answerOf(content: string): ChatAnswer {
  const usage = { requests: 1, prompt_tokens: 3, completion_tokens: 2 };
  return { message: { role: "assistant", content }, finishReason: "stop", usage };
}
