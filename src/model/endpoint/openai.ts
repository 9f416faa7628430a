// An OpenAI-compatible model of one or many replicas: a try takes a place at one, asks, and tells what it learned of it.

import { MatrixError } from "../../error.ts";
import type { OpenaiModelConfig } from "../../recipe/model-schema.ts";
import type { ChatRequest } from "../contract.ts";
import type { Try } from "../retry.ts";
import type { ModelSite } from "../site.ts";
import type { Replica } from "./replica.ts";
import { Replicas } from "./replicas.ts";

export function createOpenaiTry(name: string, config: OpenaiModelConfig, site: ModelSite): Try {
  const say: ModelSite["say"] = (level, what) => site.say(level, what);
  const replicas = new Replicas(name, config, { random: Math.random, say });
  site.models.push(replicas);
  return async (request, { tries, deadline, signal, permit }) => {
    const replica = await replicas.take({ key: taskOf(request), rank: tries, deadline, signal });
    let sentAt = performance.now();
    try {
      await permit();
      sentAt = performance.now();
      const answer = await replica.endpoint.ask(request, signal);
      replica.answered();
      return answer;
    } catch (thrown) {
      if (signal.aborted || !(thrown instanceof MatrixError)) throw thrown;
      replica.failed(thrown, sentAt, performance.now());
      throw seenTo(thrown, replica, replicas);
    } finally {
      replicas.give(replica);
    }
  };
}

/** What asks for one row has much of its prompts in common, which a replica remembers. */
function taskOf({ origin, seed }: ChatRequest): string {
  return origin === null ? String(seed) : `${origin.row}\u0000${origin.trial}`;
}

/** With another replica, or one that gets nothing until it is there again, the next try need not wait by itself. */
function seenTo(error: MatrixError, replica: Replica, replicas: Replicas): MatrixError {
  if (replica.isUsable(performance.now()) && !replicas.hasOther(replica)) return error;
  return new MatrixError(error.code, error.message, { cause: error.cause, retryNow: true });
}
