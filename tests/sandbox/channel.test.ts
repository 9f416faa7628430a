// A channel over in-memory streams: whatever the agent does, every request ends.

import { expect, test } from "bun:test";
import { Channel } from "../../src/sandbox/channel.ts";
import { listenersOn } from "../parts/listeners.ts";
import { type ScriptedProcess, ScriptedSandbox, settle } from "../parts/scripted-sandbox.ts";
import { timersLeftBy } from "../parts/timers.ts";

const TIME = { timeoutMs: 10_000 };

/** A channel to an agent that a test plays itself. */
async function open(lineBytesMax = 1000) {
  const parts: { agent: ScriptedProcess | null } = { agent: null };
  const sent: unknown[] = [];
  const sandbox = new ScriptedSandbox("s", {
    program: (process) => {
      parts.agent = process;
      process.stdin.on("data", (chunk: Buffer) => {
        for (const line of chunk.toString().trimEnd().split("\n")) sent.push(JSON.parse(line));
      });
    },
  });
  const heard: string[] = [];
  const channel = new Channel(await sandbox.open({ args: ["agent"] }), {
    name: "the agent",
    lineBytesMax,
    onStderr: (line) => heard.push(line),
  });
  const agent = parts.agent;
  if (agent === null) throw new Error("the program did not run");
  return { channel, agent, sent, heard, sandbox };
}

const errorOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "nothing was thrown",
    (thrown) => `${thrown.code ?? "error"}: ${thrown.message}`,
  );

test("requests are numbered from 1, and replies find them in any order", async () => {
  const { channel, agent, sent } = await open();
  const answers = [1, 2, 3].map((n) => channel.request({ op: "x", id: "mine", n }, TIME));
  await settle();
  expect(sent).toEqual([1, 2, 3].map((n) => ({ op: "x", id: n, n })));
  expect(channel.waiting).toBe(3);
  agent.stdout.write('{"id":3,"ok":true,"result":"c"}\n{"id":1,"ok":true,"result":"a"}\n');
  agent.stdout.write('{"id":2,"ok":false,"error":{"kind":"K","message":"m"}}\n');
  expect(await Promise.all(answers)).toEqual([
    { ok: true, result: "a" },
    { ok: false, kind: "K", message: "m" },
    { ok: true, result: "c" },
  ]);
  expect(channel.waiting).toBe(0);
});

test("a reply to no request is dropped", async () => {
  const { channel, agent } = await open();
  const answer = channel.request({ op: "x" }, TIME);
  agent.stdout.write('{"id":0,"ok":true}\n{"id":9,"ok":true}\n{"id":1,"ok":true,"result":5}\n');
  expect(await answer).toEqual({ ok: true, result: 5 });
});

test("a request that is late fails, the agent is told, and its late reply is dropped", async () => {
  const { channel, agent, sent } = await open();
  expect(await errorOf(channel.request({ op: "x" }, { timeoutMs: 1 }))).toBe(
    "agent_timeout: the agent did not reply within 1 ms",
  );
  await settle();
  expect(sent.at(-1)).toEqual({ cancel: 1 });
  expect(channel.waiting).toBe(0);
  agent.stdout.write('{"id":1,"ok":true}\n');
  const next = channel.request({ op: "y" }, TIME);
  agent.stdout.write('{"id":2,"ok":true,"result":"y"}\n');
  expect(await next).toEqual({ ok: true, result: "y" });
});

test("a caller that gives up hears its own reason, and the agent is told", async () => {
  const { channel, sent } = await open();
  const controller = new AbortController();
  const answer = errorOf(channel.request({ op: "x" }, { ...TIME, signal: controller.signal }));
  controller.abort(new Error("given up"));
  expect(await answer).toBe("error: given up");
  await settle();
  expect(sent).toEqual([{ op: "x", id: 1 }, { cancel: 1 }]);
});

test("a request with an aborted signal is never sent", async () => {
  const { channel, sent } = await open();
  const signal = AbortSignal.abort(new Error("before"));
  expect(await errorOf(channel.request({ op: "x" }, { ...TIME, signal }))).toBe("error: before");
  await settle();
  expect(sent).toEqual([]);
});

test("a signal that aborts after the reply tells the agent nothing", async () => {
  const { channel, agent, sent } = await open();
  const controller = new AbortController();
  const answer = channel.request({ op: "x" }, { ...TIME, signal: controller.signal });
  agent.stdout.write('{"id":1,"ok":true}\n');
  await answer;
  controller.abort();
  await settle();
  expect(sent).toHaveLength(1);
});

test("a request may have as many bytes as a line, with its newline, and not one more", async () => {
  const body = { op: "x".repeat(20) };
  const bytes = JSON.stringify({ ...body, id: 1 }).length + 1;
  const exact = await open(bytes);
  const answer = exact.channel.request(body, TIME);
  exact.agent.stdout.write('{"id":1,"ok":true}\n');
  expect(await answer).toEqual({ ok: true, result: null });
  const short = await open(bytes - 1);
  expect(await errorOf(short.channel.request(body, TIME))).toBe(
    `agent_failed: a request of ${bytes} bytes to the agent is longer than a line may be, ${bytes - 1} bytes`,
  );
  await settle();
  expect(short.sent).toEqual([]);
});

test("notices reach the agent without a number", async () => {
  const { channel, sent } = await open();
  channel.tell({ end: { session: "s" } });
  await settle();
  expect(sent).toEqual([{ end: { session: "s" } }]);
  expect(channel.waiting).toBe(0);
});

test("a line that is not a reply fails every request, shows 200 characters, and kills the agent", async () => {
  const { channel, agent, sandbox } = await open();
  const answers = [channel.request({ op: "a" }, TIME), channel.request({ op: "b" }, TIME)];
  agent.stdout.write(`${"ü".repeat(300)}\n`);
  const shown = `sandbox_bad_answer: the agent wrote a line that is not a reply: "${"ü".repeat(200)}"`;
  expect(await Promise.all(answers.map(errorOf))).toEqual([shown, shown]);
  expect(await errorOf(channel.request({ op: "c" }, TIME))).toBe(shown);
  expect(sandbox.kills).toBe(1);
  expect((await channel.closed).hint).toBe(
    "write only replies to stdout, and everything else to stderr",
  );
});

test("an agent that ends fails every request with its exit code and its last words", async () => {
  const { channel, agent, heard } = await open();
  const answer = errorOf(channel.request({ op: "a" }, TIME));
  agent.stderr.write("so long,\nünd danke\n");
  agent.exit(3);
  const message =
    "program_failed: the agent ended with exit 3; its last words: so long,\nünd danke";
  expect(await answer).toBe(message);
  expect(heard).toEqual(["so long,", "ünd danke"]);
  expect(await errorOf(channel.request({ op: "b" }, TIME))).toBe(message);
  expect(`${(await channel.closed).code}: ${(await channel.closed).message}`).toBe(message);
});

test("an agent that ends without a word leaves nothing after its exit code", async () => {
  const { channel, agent } = await open();
  const answer = errorOf(channel.request({ op: "a" }, TIME));
  agent.exit(0);
  expect(await answer).toBe("program_failed: the agent ended with exit 0");
});

test("an agent that answered once, or that a signal ended, was lost; any other one has failed", async () => {
  const endOf = async (code: number, line: string | null) => {
    const { channel, agent } = await open();
    const answer = channel.request({ op: "a" }, TIME);
    if (line !== null) agent.stdout.write(line);
    await settle();
    agent.exit(code);
    await answer.catch(() => undefined);
    return (await channel.closed).code;
  };
  expect(await endOf(1, null)).toBe("program_failed");
  expect(await endOf(127, null)).toBe("program_failed");
  expect(await endOf(128, null)).toBe("sandbox_lost");
  expect(await endOf(137, null)).toBe("sandbox_lost");
  expect(await endOf(1, '{"id":1,"ok":true}\n')).toBe("sandbox_lost");
  expect(await endOf(1, '{"id":1,"ok":false}\n')).toBe("sandbox_lost");
});

test("a sandbox that goes fails every request with the cause", async () => {
  const { channel, agent } = await open();
  const cause = new Error("its container ended");
  const answer = channel.request({ op: "a" }, TIME).catch((thrown) => thrown);
  agent.lose(cause);
  expect(await answer).toMatchObject({
    code: "sandbox_lost",
    message: "the agent is gone: its container ended",
    cause,
  });
});

test("a stopped channel kills the agent, fails what waits, closes stdin and sends nothing more", async () => {
  const { channel, agent, sent, sandbox } = await open();
  const answer = errorOf(channel.request({ op: "a" }, TIME));
  await channel.stop();
  expect(await answer).toBe("sandbox_lost: the agent was stopped");
  expect(sandbox.kills).toBe(1);
  channel.tell({ end: {} });
  await settle();
  expect(sent).toEqual([{ op: "a", id: 1 }]);
  expect(agent.stdin.readableEnded).toBe(true);
  expect(channel.waiting).toBe(0);
});

test("an agent's broken stdin is not an error of its own", async () => {
  const { channel, agent } = await open();
  agent.stdin.destroy(new Error("EPIPE"));
  await settle();
  const answer = errorOf(channel.request({ op: "a" }, TIME));
  agent.exit(1);
  expect(await answer).toBe("program_failed: the agent ended with exit 1");
});

test("the first reason why a channel is closed stays", async () => {
  const { channel, agent } = await open();
  agent.stdout.write("no\n");
  await settle();
  await channel.stop();
  expect((await channel.closed).code).toBe("sandbox_bad_answer");
});

test("a request with its reply leaves no timer, and no listener on its signal", async () => {
  const { channel, agent } = await open();
  const { signal } = new AbortController();
  const left = await timersLeftBy(async () => {
    const answer = channel.request({ op: "x" }, { ...TIME, signal });
    expect(listenersOn(signal)).toBe(1);
    agent.stdout.write('{"id":1,"ok":true}\n');
    await answer;
  });
  expect([left, listenersOn(signal)]).toEqual([[], 0]);
});
