// A model at OpenAI-compatible endpoints: each try takes a place at a replica, asks it, and tells
// it how the try went.

import { MatrixError } from "../../error.ts";
import type { OpenaiModelConfig } from "../../recipe/schema/model-schema.ts";
import type { ModelContext } from "../context.ts";
import { taskOf } from "../contract.ts";
import type { Try } from "../retry.ts";
import type { Replica } from "./replica.ts";
import { Replicas } from "./replicas.ts";

/** A server that makes something up for every answer is reported this often. */
const NOTICES_MAX = 20;

export function openReplicas(
  name: string,
  config: OpenaiModelConfig,
  { say }: Pick<ModelContext, "say">,
): { readonly attempt: Try; readonly replicas: Replicas } {
  const noticed = new Set<string>();
  const notice = (what: string): void => {
    if (noticed.has(what) || noticed.size === NOTICES_MAX) return;
    noticed.add(what);
    say("warning", `models.${name}: ${what}`);
  };
  const replicas = new Replicas(name, config, { random: Math.random, say, notice });
  return { attempt: askOneOf(replicas), replicas };
}

function askOneOf(replicas: Replicas): Try {
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
      throw withRetryNow(thrown, replica, replicas);
    } finally {
      replicas.give(replica);
    }
  };
}

/**
 * The next try need not wait when it goes to another replica, or when it will wait in `take` for
 * this one.
 */
function withRetryNow(error: MatrixError, replica: Replica, replicas: Replicas): MatrixError {
  if (replica.isUsable(performance.now()) && !replicas.hasOther(replica)) return error;
  return new MatrixError(error.code, error.message, { cause: error.cause, retryNow: true });
}
