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
  const idOf = (index: number) => (sent[index] as { id: string }).id;
  /** Replies to the request that was sent as number `index`, once it was. */
  const answer = async (index: number, reply: object = { ok: true }) => {
    await settle();
    agent.stdout.write(`${JSON.stringify({ id: idOf(index), ...reply })}\n`);
  };
  return { channel, agent, sent, heard, sandbox, idOf, answer };
}

const errorOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "nothing was thrown",
    (thrown) => `${thrown.code ?? "error"}: ${thrown.message}`,
  );

test("every request has a random id of its own, and replies find their requests in any order", async () => {
  const { channel, sent, idOf, answer } = await open();
  const answers = [1, 2, 3].map((n) => channel.request({ op: "x", id: "mine", n }, TIME));
  await settle();
  const ids = [0, 1, 2].map(idOf);
  expect(sent).toEqual(ids.map((id, index) => ({ op: "x", id, n: index + 1 })));
  for (const id of ids) expect(id).toMatch(/^[\w-]{22}$/);
  expect(new Set(ids).size).toBe(3);
  expect(channel.waiting).toBe(3);
  await answer(2, { ok: true, result: "c" });
  await answer(0, { ok: true, result: "a" });
  await answer(1, { ok: false, error: { kind: "K", message: "m" } });
  expect(await Promise.all(answers)).toEqual([
    { ok: true, result: "a" },
    { ok: false, kind: "K", message: "m" },
    { ok: true, result: "c" },
  ]);
  expect(channel.waiting).toBe(0);
});

test("two channels give equal requests different ids", async () => {
  const ids = await Promise.all(
    [1, 2].map(async () => {
      const { channel, idOf, answer } = await open();
      const reply = channel.request({ op: "x" }, TIME);
      await answer(0);
      await reply;
      return idOf(0);
    }),
  );
  expect(ids[0]).not.toBe(ids[1]);
});

test.each([
  ["a number that counts", '{"id":1,"ok":true,"result":"forged"}'],
  ["a number as text", '{"id":"1","ok":true,"result":"forged"}'],
  ["no id", '{"ok":false,"error":{"kind":"bad_request","message":"unreadable"}}'],
  ["an empty id", '{"id":"","ok":true,"result":"forged"}'],
  ["the id null", '{"id":null,"ok":true,"result":"forged"}'],
  ["an id of the right length", `{"id":"${"A".repeat(22)}","ok":true,"result":"forged"}`],
])("a reply under %s fails every request of its program and answers none", async (_, line) => {
  const { channel, agent, sandbox } = await open();
  const answers = [channel.request({ op: "a" }, TIME), channel.request({ op: "b" }, TIME)];
  await settle();
  agent.stdout.write(`${line}\n`);
  const failure = `sandbox_bad_answer: the agent replied to no open request: ${JSON.stringify(line)}`;
  expect(await Promise.all(answers.map(errorOf))).toEqual([failure, failure]);
  expect(await errorOf(channel.request({ op: "c" }, TIME))).toBe(failure);
  expect(sandbox.kills).toBe(1);
});

test("a reply that comes before any request breaks the protocol", async () => {
  const { channel, agent } = await open();
  agent.stdout.write('{"id":1,"ok":true,"result":"forged"}\n');
  await settle();
  expect(await errorOf(channel.request({ op: "a" }, TIME))).toStartWith("sandbox_bad_answer: ");
});

test("a second reply under one id breaks the protocol, and the first one stays", async () => {
  const { channel, answer } = await open();
  const first = channel.request({ op: "a" }, TIME);
  const second = errorOf(channel.request({ op: "b" }, TIME));
  await answer(0, { ok: true, result: 1 });
  await answer(0, { ok: true, result: 2 });
  expect(await first).toEqual({ ok: true, result: 1 });
  expect(await second).toStartWith("sandbox_bad_answer: the agent replied to no open request: ");
});

test("the id of an earlier request answers no later one", async () => {
  const { channel, answer } = await open();
  const first = channel.request({ op: "a" }, TIME);
  await answer(0, { ok: true, result: 1 });
  await first;
  const second = errorOf(channel.request({ op: "b" }, TIME));
  await answer(0, { ok: true, result: "forged" });
  expect(await second).toStartWith("sandbox_bad_answer: ");
});

test("a request that is late fails, the agent is told, and its late reply is dropped once", async () => {
  const { channel, sent, idOf, answer } = await open();
  expect(await errorOf(channel.request({ op: "x" }, { timeoutMs: 1 }))).toBe(
    "agent_timeout: the agent did not reply within 1 ms",
  );
  await settle();
  expect(sent.at(-1)).toEqual({ cancel: idOf(0) });
  expect(channel.waiting).toBe(0);
  await answer(0);
  const next = channel.request({ op: "y" }, TIME);
  await answer(2, { ok: true, result: "y" });
  expect(await next).toEqual({ ok: true, result: "y" });
  const last = errorOf(channel.request({ op: "z" }, TIME));
  await answer(0);
  expect(await last).toStartWith("sandbox_bad_answer: ");
});

test("the last 10,000 cancelled requests may still be answered, and an older one may not", async () => {
  const { channel, agent, idOf } = await open();
  const controllers = Array.from({ length: 10_001 }, () => new AbortController());
  const answers = controllers.map(({ signal }) =>
    errorOf(channel.request({}, { ...TIME, signal })),
  );
  for (const controller of controllers) controller.abort(new Error("given up"));
  await Promise.all(answers);
  await settle();
  const last = errorOf(channel.request({}, TIME));
  await settle();
  agent.stdout.write(`{"id":"${idOf(1)}","ok":true}\n`);
  await settle();
  expect(channel.waiting).toBe(1);
  agent.stdout.write(`{"id":"${idOf(0)}","ok":true}\n`);
  expect(await last).toStartWith("sandbox_bad_answer: the agent replied to no open request: ");
});

test("a caller that gives up hears its own reason, and the agent is told", async () => {
  const { channel, sent, idOf } = await open();
  const controller = new AbortController();
  const answer = errorOf(channel.request({ op: "x" }, { ...TIME, signal: controller.signal }));
  controller.abort(new Error("given up"));
  expect(await answer).toBe("error: given up");
  await settle();
  expect(sent).toEqual([{ op: "x", id: idOf(0) }, { cancel: idOf(0) }]);
});

test("a request with an aborted signal is never sent", async () => {
  const { channel, sent } = await open();
  const signal = AbortSignal.abort(new Error("before"));
  expect(await errorOf(channel.request({ op: "x" }, { ...TIME, signal }))).toBe("error: before");
  await settle();
  expect(sent).toEqual([]);
});

test("a signal that aborts after the reply tells the agent nothing", async () => {
  const { channel, sent, answer } = await open();
  const controller = new AbortController();
  const reply = channel.request({ op: "x" }, { ...TIME, signal: controller.signal });
  await answer(0);
  await reply;
  controller.abort();
  await settle();
  expect(sent).toHaveLength(1);
});

test("a request may have as many bytes as a line, with its newline, and not one more", async () => {
  const body = { op: "x".repeat(20) };
  const bytes = JSON.stringify({ ...body, id: "x".repeat(22) }).length + 1;
  const exact = await open(bytes);
  const reply = exact.channel.request(body, TIME);
  await exact.answer(0);
  expect(await reply).toEqual({ ok: true, result: null });
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
    "write only replies to stdout, one for each request and with its id, and everything else to stderr",
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
  const endOf = async (code: number, said: object | null) => {
    const { channel, agent, answer } = await open();
    const reply = channel.request({ op: "a" }, TIME);
    if (said !== null) await answer(0, said);
    await settle();
    agent.exit(code);
    await reply.catch(() => undefined);
    return (await channel.closed).code;
  };
  expect(await endOf(1, null)).toBe("program_failed");
  expect(await endOf(127, null)).toBe("program_failed");
  expect(await endOf(128, null)).toBe("sandbox_lost");
  expect(await endOf(137, null)).toBe("sandbox_lost");
  expect(await endOf(1, { ok: true })).toBe("sandbox_lost");
  expect(await endOf(1, { ok: false })).toBe("sandbox_lost");
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
  const { channel, agent, sent, sandbox, idOf } = await open();
  const answer = errorOf(channel.request({ op: "a" }, TIME));
  await channel.stop();
  expect(await answer).toBe("sandbox_lost: the agent was stopped");
  expect(sandbox.kills).toBe(1);
  channel.tell({ end: {} });
  await settle();
  expect(sent).toEqual([{ op: "a", id: idOf(0) }]);
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
  const { channel, answer } = await open();
  const { signal } = new AbortController();
  const left = await timersLeftBy(async () => {
    const reply = channel.request({ op: "x" }, { ...TIME, signal });
    expect(listenersOn(signal)).toBe(1);
    await answer(0);
    await reply;
  });
  expect([left, listenersOn(signal)]).toEqual([[], 0]);
});
