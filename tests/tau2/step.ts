// An agent that hands each step to one of a few bridges, always the same one for a task: what a sandboxed role does, without the
// sandbox. MATRIX_TAU2_BRIDGES says how many, MATRIX_TAU2_CONTAINER whether they run in containers.

import { agent } from "matrix";
import { hash64 } from "../../src/task/seed.ts";
import { Bridge, inContainer, inProcess } from "./bridge.ts";

const count = Number(process.env["MATRIX_TAU2_BRIDGES"] ?? 1);
const command = process.env["MATRIX_TAU2_CONTAINER"] === "true" ? inContainer : inProcess;
const bridges = Array.from({ length: count }, () => new Bridge(command));
for (const bridge of bridges) bridge.unref();

export default agent(async ({ rowId, trial, row, state, history }) => {
  const [low] = hash64(rowId);
  const bridge = bridges[low % count] as Bridge;
  return await bridge.request("step", { task: { id: rowId, trial, hop: history.length, row, state } });
});
