// The channel to real processes that behave badly: whatever an agent does, every request ends.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { Channel } from "../../../src/sandbox/channel.ts";
import type { Sandbox } from "../../../src/sandbox/contract.ts";
import { Lease } from "../../../src/sandbox/lease.ts";
import { ProcessSandboxes } from "../../../src/sandbox/process.ts";
import type { Reply } from "../../../src/sandbox/reply-lines.ts";
import { SPEC } from "../../parts/sandbox-spec.ts";
import { until } from "../../parts/until.ts";

const LINE_BYTES_MAX = 2 ** 20;
const TIME = { timeoutMs: 20_000 };
const ECHO = `import sys, json
for line in sys.stdin:
    r = json.loads(line)
    print(json.dumps({"id": r.get("id"), "ok": True, "result": r}), flush=True)`;

let lease: Lease;
let sandbox: Sandbox;
beforeAll(async () => {
  lease = await Lease.take({ run: "channel", host: "test" });
  sandbox = await new ProcessSandboxes(lease).start(SPEC);
});
afterAll(async () => {
  await sandbox.stop();
  await lease.release();
});

async function withAgent<T>(
  python: string,
  use: (channel: Channel, heard: readonly string[]) => Promise<T>,
): Promise<T> {
  const heard: string[] = [];
  const running = await sandbox.open({ args: ["python3", "-u", "-c", python] });
  const channel = new Channel(running, {
    name: "the agent",
    lineBytesMax: LINE_BYTES_MAX,
    onStderr: (line) => heard.push(line),
  });
  try {
    return await use(channel, heard);
  } finally {
    await channel.stop();
  }
}

const failureOf = (request: Promise<Reply>): Promise<{ code: string; message: string }> =>
  request.then(
    (reply) => ({ code: "replied", message: JSON.stringify(reply) }),
    (thrown) => thrown,
  );

test("a channel carries a request unchanged, under an id of its own", () =>
  withAgent(ECHO, async (channel) => {
    const reply = await channel.request(
      { op: "x", id: "mine", text: "ü\n\u2028🎲", big: 9007199254740991 },
      TIME,
    );
    expect(reply).toEqual({
      ok: true,
      result: {
        op: "x",
        id: expect.stringMatching(/^[\w-]{22}$/),
        text: "ü\n\u2028🎲",
        big: 9007199254740991,
      },
    });
  }));

test("an agent's failure is a reply with its kind", () =>
  withAgent(
    'import json\nr = json.loads(input())\nprint(json.dumps({"id": r["id"], "ok": False, "error": {"kind": "ValueError", "message": "no"}}))\ninput()',
    async (channel) => {
      expect(await channel.request({ op: "x" }, TIME)).toEqual({
        ok: false,
        kind: "ValueError",
        message: "no",
      });
    },
  ));

test("a line that is not JSON fails every waiting request, and the error shows it", () =>
  withAgent('input()\nprint("Loading weights…")\ninput()\ninput()', async (channel) => {
    const failures = await Promise.all([
      failureOf(channel.request({ op: "a" }, TIME)),
      failureOf(channel.request({ op: "b" }, TIME)),
    ]);
    for (const { code, message } of failures) {
      expect(code).toBe("sandbox_bad_answer");
      expect(message).toContain("Loading weights…");
    }
    expect((await failureOf(channel.request({ op: "c" }, TIME))).code).toBe("sandbox_bad_answer");
  }));

test("a channel breaks when an agent writes blank lines without end", () =>
  withAgent("input()\nwhile True: print('\\n' * 65536)", async (channel) => {
    const failed = await failureOf(channel.request({ op: "x" }, TIME));
    expect(failed).toMatchObject({ code: "sandbox_bad_answer" });
    expect(failed.message).toContain("nothing but blank lines");
  }));

test("JSON that is not a reply fails the waiting request", () =>
  withAgent("input()\nprint('[1, 2]')\ninput()", async (channel) => {
    expect((await failureOf(channel.request({ op: "a" }, TIME))).code).toBe("sandbox_bad_answer");
  }));

test("a line that never ends fails the waiting request at the limit", () =>
  withAgent('import sys\ninput()\nwhile True: sys.stdout.write("x" * 65536)', async (channel) => {
    const { code, message } = await failureOf(channel.request({ op: "a" }, TIME));
    expect(code).toBe("sandbox_bad_answer");
    expect(message).toContain(`longer than ${LINE_BYTES_MAX} bytes`);
  }));

test("a reply just below the limit is taken, in whatever pieces it comes", () =>
  withAgent(
    `import sys, json, time
r = json.loads(input())
text = json.dumps({"id": r["id"], "ok": True, "result": "ü" * 170000}) + "\\n"
for i in range(0, len(text), 99991): sys.stdout.write(text[i:i + 99991]); sys.stdout.flush(); time.sleep(0.001)
input()`,
    async (channel) => {
      const reply = await channel.request({ op: "a" }, TIME);
      expect(reply.ok && (reply.result as string).length).toBe(170_000);
    },
  ));

test("a request that is longer than a line may be is refused, and the channel goes on", () =>
  withAgent(ECHO, async (channel) => {
    expect(
      (await failureOf(channel.request({ op: "a", text: "x".repeat(LINE_BYTES_MAX) }, TIME))).code,
    ).toBe("agent_failed");
    expect((await channel.request({ op: "b" }, TIME)).ok).toBe(true);
  }));

test("a late request fails in time, the agent is told, and its late reply is dropped", () =>
  withAgent(
    `import sys, json
held = None
for line in sys.stdin:
    r = json.loads(line)
    if "cancel" in r: print("cancelled", r["cancel"], file=sys.stderr)
    elif held is None: held = r["id"]
    else:
        print(json.dumps({"id": held, "ok": True, "result": "late"}), flush=True)
        print(json.dumps({"id": r["id"], "ok": True, "result": "in time"}), flush=True)`,
    async (channel, heard) => {
      expect((await failureOf(channel.request({ op: "a" }, { timeoutMs: 150 }))).code).toBe(
        "agent_timeout",
      );
      await until(
        () => heard.some((line) => /^cancelled [\w-]{22}$/.test(line)),
        "the agent heard of it",
      );
      expect(await channel.request({ op: "b" }, TIME)).toEqual({ ok: true, result: "in time" });
      expect(channel.waiting).toBe(0);
    },
  ));

test("a caller that gives up hears its own reason", () =>
  withAgent("import sys\nfor line in sys.stdin: pass", async (channel) => {
    const controller = new AbortController();
    const waiting = failureOf(channel.request({ op: "a" }, { ...TIME, signal: controller.signal }));
    controller.abort(new Error("given up"));
    expect((await waiting).message).toBe("given up");
    expect(
      (await failureOf(channel.request({ op: "b" }, { ...TIME, signal: controller.signal })))
        .message,
    ).toBe("given up");
  }));

test("a killed agent fails the waiting request and every later one", () =>
  withAgent("import os, signal\ninput()\nos.kill(os.getpid(), signal.SIGKILL)", async (channel) => {
    const { code, message } = await failureOf(channel.request({ op: "a" }, TIME));
    expect([code, message]).toEqual(["sandbox_lost", "the agent ended with exit 137"]);
    expect((await failureOf(channel.request({ op: "b" }, TIME))).code).toBe("sandbox_lost");
  }));

test("an agent that closes its output and lives on fails the request by its timeout", () =>
  withAgent(
    "import os, sys, time\ninput()\nos.close(1)\nos.close(2)\ntime.sleep(600)",
    async (channel) => {
      expect((await failureOf(channel.request({ op: "a" }, { timeoutMs: 500 }))).code).toBe(
        "agent_timeout",
      );
    },
  ));

test("stderr is heard line by line, in whatever pieces it comes", () =>
  withAgent(
    'import sys, time\nfor c in "first ünit\\nsecond\\n": sys.stderr.write(c); sys.stderr.flush()\nfor line in sys.stdin: pass',
    async (_channel, heard) => {
      await until(() => heard.length === 2, "both lines came");
      expect(heard).toEqual(["first ünit", "second"]);
    },
  ));

test("a channel carries a thousand requests at once", () =>
  withAgent(ECHO, async (channel) => {
    const replies = await Promise.all(
      Array.from({ length: 1000 }, (_, n) => channel.request({ op: "x", n }, TIME)),
    );
    expect(replies.map((reply) => reply.ok && (reply.result as { n: number }).n)).toEqual(
      Array.from({ length: 1000 }, (_, n) => n),
    );
  }));
