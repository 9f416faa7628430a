// The library of an agent in a sandbox. It makes an agent ten lines of JavaScript for Node or Bun,
// without a dependency:
//
//     import { serve } from "/matrix/matrix-agent.mjs";
//
//     serve((task, { settings, signal }) => ({ answer: task.row.question.toUpperCase() }));
//
// The function gets the task (id, trial, seed, attempt, hop, role, row, state, last, history). It
// returns JSON or a promise of it, or throws. Other operations are functions by name, called with
// the request: `serve(step, { hello: () => ({ version: 1 }) })`. The function `end` is called with
// {session, id, trial, attempt} when a task of a stateful sandbox is over.
//
// `console.log` goes to the log: only replies reach stdout.

import { createInterface } from "node:readline";

/** An error for the record. `fatal: true` ends the step; `retryAfterMs` asks for a later try. */
function failureOf(error) {
  const { name = "Error", message, stack, fatal, retryAfterMs } = Object(error);
  return {
    kind: name,
    message: String(message ?? error),
    ...(typeof stack === "string" ? { stack } : {}),
    ...(fatal === true ? { fatal } : {}),
    ...(typeof retryAfterMs === "number" ? { retry_after: retryAfterMs / 1000 } : {}),
  };
}

/** Answers requests until stdin closes. */
export function serve(step, { end = () => undefined, ...ops } = {}) {
  console.log = console.info = console.debug = console.error;
  const functions = {
    step: (request, context) =>
      step(request.task, { ...context, settings: request.settings ?? {} }),
    ...ops,
  };
  const running = new Map();
  const reply = (body) => process.stdout.write(`${JSON.stringify(body)}\n`);

  const answer = async (request) => {
    const { id, op } = request;
    const controller = new AbortController();
    running.set(id, controller);
    try {
      const run = Object.hasOwn(functions, op) ? functions[op] : null;
      if (run === null) throw new Error(`no such op: ${op}`);
      const result = await run(request, { signal: controller.signal });
      reply({ id, ok: true, result: result ?? null });
    } catch (error) {
      console.error(error);
      reply({
        id,
        ok: false,
        error: failureOf(error),
      });
    } finally {
      running.delete(id);
    }
  };

  const hearEnd = async (task) => {
    try {
      await end(task);
    } catch (error) {
      console.error(error);
    }
  };

  createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })
    .on("line", (line) => {
      if (line.trim() === "") return;
      const request = JSON.parse(line);
      if ("cancel" in request)
        running.get(request.cancel)?.abort(new Error("the request was cancelled"));
      else if ("end" in request) void hearEnd(request.end);
      else void answer(request);
    })
    .on("close", () => process.exit(0));
}
