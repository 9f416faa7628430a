// A seat: one running sandbox and the agents in it.

import { expect, test } from "bun:test";
import { Seat } from "../../src/sandbox/seat.ts";
import { keptLog } from "../parts/kept-log.ts";
import { ScriptedSandbox, type ScriptedSandboxOptions, settle } from "../parts/scripted-sandbox.ts";

/** Answers every request with `true`, and keeps what it was sent. */
function seatWith(options: ScriptedSandboxOptions = {}) {
  const sent: unknown[] = [];
  const sandbox = new ScriptedSandbox("id-1", {
    program: ({ stdin, stdout }) =>
      stdin.on("data", (line: Buffer) => {
        const request = JSON.parse(line.toString());
        sent.push(request);
        if ("id" in request)
          stdout.write(`${JSON.stringify({ id: request.id, ok: true, result: true })}\n`);
      }),
    ...options,
  });
  const { log, lines } = keptLog();
  return { seat: new Seat(sandbox, "box", log), sandbox, sent, lines };
}

const agent = (name: string) => ({ command: { args: [name] }, lineBytesMax: 100 });
const TIME = { timeoutMs: 10_000 };

test("a seat starts an agent once for each command, and gives its channel again", async () => {
  const { seat, sandbox } = seatWith();
  const [one, again, other] = await Promise.all([
    seat.channel(agent("a")),
    seat.channel(agent("a")),
    seat.channel(agent("b")),
  ]);
  expect(again).toBe(one);
  expect(other).not.toBe(one);
  expect(sandbox.commands).toEqual([{ args: ["a"] }, { args: ["b"] }]);
  expect(await one.request({ op: "x" }, TIME)).toEqual({ ok: true, result: true });
});

test("a seat tells the end of a session to every agent", async () => {
  const { seat, sent } = seatWith();
  await seat.channel(agent("a"));
  await seat.channel(agent("b"));
  seat.end({ session: "s" });
  await settle();
  expect(sent).toEqual([{ end: { session: "s" } }, { end: { session: "s" } }]);
});

test("an agent's stderr goes to the log with the sandbox's name and id", async () => {
  const { seat, lines } = seatWith({ program: ({ stderr }) => stderr.write("loading\n") });
  await seat.channel(agent("a"));
  await settle();
  expect(lines).toEqual(['info loading {"sandbox":"box","id":"id-1"}']);
});

test("a sandbox whose agent ends is stopped, with a warning", async () => {
  const { seat, sandbox, lines } = seatWith({
    program: ({ stderr, exit }) => {
      stderr.write("oh");
      exit(3);
    },
  });
  await seat.channel(agent("a"));
  await settle();
  expect(seat.gone).toBe("the agent in sandbox box ended with exit 3; its last words: oh");
  expect(sandbox.stops).toBe(1);
  // A task that comes after the end hears the same reason.
  await expect(seat.channel(agent("b"))).rejects.toThrow("its last words: oh");
  expect(lines).toEqual([
    'warning the agent in sandbox box ended with exit 3; its last words: oh {"sandbox":"box","id":"id-1"}',
  ]);
});

test("an agent that ends because its seat was stopped is not a warning", async () => {
  const { seat, lines } = seatWith();
  await seat.channel(agent("a"));
  await seat.stop();
  await settle();
  expect(lines).toEqual([]);
});

test("a seat keeps the first reason why its sandbox is gone", async () => {
  const { seat, sandbox } = seatWith();
  expect(seat.gone).toBeNull();
  sandbox.end("its container ended");
  await settle();
  expect(seat.gone).toBe("its container ended");
  await seat.stop();
  expect(seat.gone).toBe("its container ended");
  expect(sandbox.stops).toBe(1);
});

test("a sandbox in which no agent can be started is stopped", async () => {
  const { seat, sandbox } = seatWith({
    program: () => {
      throw new Error("no room");
    },
  });
  await expect(seat.channel(agent("a"))).rejects.toThrow("no room");
  await settle();
  expect(sandbox.stops).toBe(1);
  seat.end({ session: "s" });
  await settle();
});
