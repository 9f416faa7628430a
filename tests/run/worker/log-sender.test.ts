// The lines of a host's log on their way to the driver.

import { expect, test } from "bun:test";
import { DriverCalls } from "../../../src/host/driver-calls.ts";
import type { Control } from "../../../src/peer/control.ts";
import { LogSender } from "../../../src/run/worker/log-sender.ts";
import { createStreamedLog } from "../../../src/telemetry/streamed-log.ts";
import { answering, createDriver, TOKEN } from "../../host/driver-server.ts";
import { until } from "../../parts/until.ts";

/** A log whose lines are sent to a driver that fails while it is away. */
async function createSender() {
  const world = { isAway: false };
  const taken: Control<"logs">[] = [];
  const driver = await createDriver({
    logs: answering("logs", "done", (logs) => {
      if (world.isAway) throw new Error("away");
      taken.push(logs);
      return null;
    }),
  });
  const calls = new DriverCalls("host-1", async () => ({ url: driver.url, token: TOKEN }));
  const log = createStreamedLog({ show: () => undefined, now: () => 5 });
  const sender = new LogSender(calls, "worker-1", log);
  const messages = () => taken.flatMap(({ lines }) => lines.map(({ message }) => message));
  const stop = async () => {
    await sender.stop();
    calls.close();
    await driver.stop();
  };
  return { world, taken, log, sender, driver, messages, stop };
}

test("lines are sent under the host's name now and then, and what is left when the sender stops", async () => {
  const { taken, log, messages, stop } = await createSender();
  log.write("warning", "first", { role: "a" });
  await until(() => taken.length === 1, "the line has arrived");
  log.write("info", "second");
  await stop();
  const line = { at: 5, level: "warning", message: "first", fields: { role: "a" } };
  expect(taken[0] as unknown).toEqual({ name: "worker-1", lines: [line] });
  expect(messages()).toEqual(["first", "second"]);
});

test("nothing is sent while there is no line", async () => {
  const { taken, stop } = await createSender();
  await stop();
  expect(taken).toEqual([]);
});

test("lines that could not be sent are sent later, in their order", async () => {
  const { world, log, driver, messages, stop } = await createSender();
  world.isAway = true;
  log.write("info", "first");
  await until(() => driver.bugs.length > 0, "the driver has failed");
  log.write("info", "second");
  world.isAway = false;
  await until(() => messages().length === 2, "both lines have arrived");
  expect(messages()).toEqual(["first", "second"]);
  await stop();
});

test("500 lines are sent at once at most", async () => {
  const { taken, log, messages, sender, stop } = await createSender();
  for (let count = 0; count < 501; count++) log.write("info", `line ${count}`);
  await sender.stop();
  expect(taken.map(({ lines }) => lines.length)).toEqual([500]);
  await stop();
  expect(messages()).toHaveLength(501);
});
