// The context of a step, for tests that run an agent without a host.

import type { AgentAnswer, AgentContext } from "../../src/agent/contract.ts";

export interface TestContext extends AgentContext {
  /** Answers that the agent could not use, each with its problem. */
  readonly noted: (readonly [answer: AgentAnswer, problem: string])[];
}

export function agentContext(
  signal: AbortSignal = new AbortController().signal,
  tries = 1,
): TestContext {
  const noted: TestContext["noted"] = [];
  return { signal, tries, noted, missed: (answer, problem) => void noted.push([answer, problem]) };
}
