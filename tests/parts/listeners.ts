// Listeners that the program leaves on a signal. A signal of a whole run would collect them.

import { getEventListeners } from "node:events";

export function listenersOn(signal: AbortSignal): number {
  return getEventListeners(signal, "abort").length;
}
