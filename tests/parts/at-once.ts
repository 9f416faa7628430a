// The steps of a task by a rule in this process, which decides at once.

import * as advance from "../../src/orchestrator/advance.ts";
import * as join from "../../src/orchestrator/join.ts";
import type { Later } from "../../src/task/later.ts";
import type { Message } from "../../src/task/task.ts";

export function startTask(...given: Parameters<typeof advance.startTask>): Message {
  return atOnce(advance.startTask(...given));
}

export function nextMessage(...given: Parameters<typeof advance.nextMessage>): Message {
  return atOnce(advance.nextMessage(...given));
}

export function joinMessage(...given: Parameters<typeof join.joinMessage>): Message | null {
  return atOnce(join.joinMessage(...given));
}

export function atOnce<T>(value: Later<T>): T {
  if (value instanceof Promise) throw new Error("a rule in this process decided later");
  return value;
}
