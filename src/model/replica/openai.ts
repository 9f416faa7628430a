// A model at OpenAI-compatible endpoints: each try takes a place at a replica, asks it, and tells
// it how the try went.

import { MatrixError } from "../../error.ts";
import type { OpenaiModelConfig } from "../../recipe/schema/model-schema.ts";
import { type Clock, SYSTEM_CLOCK } from "../clock.ts";
import type { ModelContext } from "../context.ts";
import { taskOf } from "../contract.ts";
import { Endpoint } from "../endpoint/endpoint.ts";
import type { Try } from "../retry.ts";
import type { Replica } from "./replica.ts";
import { Replicas } from "./replicas.ts";

/** A server that makes something up for every answer is reported this often. */
const NOTICES_MAX = 20;

export function openReplicas(
  name: string,
  config: OpenaiModelConfig,
  { say, windows }: Pick<ModelContext, "say" | "windows">,
): { readonly attempt: Try; readonly replicas: Replicas } {
  const noticed = new Set<string>();
  const notice = (what: string): void => {
    if (noticed.has(what) || noticed.size === NOTICES_MAX) return;
    noticed.add(what);
    say("warning", `models.${name}: ${what}`);
  };
  const replicas = new Replicas(name, config, {
    random: Math.random,
    clock: SYSTEM_CLOCK,
    findWindow: (replica) => windows?.find(name, replica) ?? null,
    noteWindow: (replica, size) => windows?.note(name, replica, size),
    say,
    connect: (address) => new Endpoint(config, address, notice),
  });
  return { attempt: askOneOf(replicas, SYSTEM_CLOCK), replicas };
}

export function askOneOf(replicas: Replicas, clock: Clock): Try {
  return async (request, { tries, deadline, signal, permit, onRejected }) => {
    const place = await replicas.take({ key: taskOf(request), rank: tries, deadline, signal });
    const { replica } = place;
    const isTrial = replica.isEjected;
    let sentAt = clock.now();
    try {
      await permit();
      sentAt = clock.now();
      const answer = await replica.endpoint.ask(request, signal, onRejected);
      replicas.answered(place, sentAt);
      return answer;
    } catch (thrown) {
      if (signal.aborted || !(thrown instanceof MatrixError)) throw thrown;
      replicas.failed(place, thrown, sentAt);
      const isAlone = isTrial || replicas.anotherDoesWell(replica);
      throw withRetryNow(isAlone ? blamed(thrown, isTrial) : thrown, replica, replicas);
    } finally {
      replicas.give(place);
    }
  };
}

/** The next try need not wait for itself when it goes to another replica or waits in `take`. */
function withRetryNow(error: MatrixError, replica: Replica, replicas: Replicas): MatrixError {
  if (!replicas.canRetryNow(replica)) return error;
  return new MatrixError(error.code, error.message, { cause: error.cause, retryNow: true });
}

/**
 * The error as the fault of its replica, which another one does not share, so that the request is
 * tried again. A request that the server refuses may be to blame itself, except in a trial.
 */
function blamed(error: MatrixError, isTrial: boolean): MatrixError {
  const { code, message } = error;
  if (code !== "model_denied" && !(isTrial && code === "model_refused_request")) return error;
  const { retryAfterMs } = error;
  return new MatrixError("model_failed", message, {
    cause: error,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}
