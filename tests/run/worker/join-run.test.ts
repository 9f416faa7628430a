// A host joins a run at a driver over a real server.

import { expect, test } from "bun:test";
import { createServer } from "node:http2";
import { MatrixError } from "../../../src/error.ts";
import { DriverCalls } from "../../../src/host/driver-calls.ts";
import { PeerServer } from "../../../src/http/peer-server.ts";
import { type Control, encodeControl } from "../../../src/peer/control.ts";
import { type JoinOptions, joinRun } from "../../../src/run/worker/join-run.ts";
import { version } from "../../../src/version.ts";
import { answering, createDriver, TOKEN } from "../../host/driver-server.ts";
import { timersLeftBy, withTimers } from "../../parts/timers.ts";
import { until } from "../../parts/until.ts";

const WELCOME = { run: "r", roles: ["a"], bundle: { recipe: "", files: {}, secrets: {} } };

function optionsOf(more: Partial<JoinOptions> = {}) {
  const shown: string[] = [];
  const options: JoinOptions = {
    ...{ name: "worker-1", replaces: null, patienceMs: 60_000 },
    isComplete: async () => false,
    show: (line) => void shown.push(line),
    signal: new AbortController().signal,
    ...more,
  };
  return { options, shown };
}

/** Calls to a driver that answers each join with the next of these, or is not to be found. */
async function createCalls(answers: readonly (Control<"welcome"> | null)[], token = TOKEN) {
  const asked: Control<"join">[] = [];
  let finds = 0;
  const found = answers.filter((answer) => answer !== null);
  const driver = await createDriver({
    join: answering("join", "welcome", (join) => {
      asked.push(join);
      return found[asked.length - 1] ?? WELCOME;
    }),
  });
  const calls = new DriverCalls("host-1", async () =>
    answers[finds++] === null ? null : { url: driver.url, token },
  );
  const stop = async () => {
    calls.close();
    await driver.stop();
  };
  return { calls, asked, driver, stop };
}

test.concurrent("a host tells its version, its name and the life that it replaces, and is given the recipe", async () => {
  const { calls, asked, stop } = await createCalls([WELCOME]);
  const { options, shown } = optionsOf({ replaces: "earlier" });
  expect(await joinRun(calls, options)).toEqual(WELCOME);
  expect(asked).toEqual([{ program: version, name: "worker-1", replaces: "earlier" }]);
  expect(shown).toEqual([]);
  await stop();
});

test.concurrent("a host asks again until there is a driver", async () => {
  const { calls, asked, stop } = await createCalls([null, null, WELCOME]);
  expect(await joinRun(calls, optionsOf().options)).toEqual(WELCOME);
  expect(asked).toHaveLength(1);
  await stop();
});

test.concurrent("a host that was refused fails with the driver's reason", async () => {
  const { calls, stop } = await createCalls([{ refused: "no room" }]);
  await expect(joinRun(calls, optionsOf().options)).rejects.toMatchObject({
    code: "usage",
    message: "the driver refused this host: no room",
  });
  await stop();
});

test.concurrent("a host with a wrong token fails at once, and says where the token is", async () => {
  const { calls, asked, stop } = await createCalls([WELCOME], "another-token");
  await expect(joinRun(calls, optionsOf().options)).rejects.toMatchObject({
    code: "usage",
    message: "the driver does not know this token: it is wrong, or that of another run",
    hint: "take MATRIX_TOKEN from the run directory's driver.json",
  });
  expect(asked).toEqual([]);
  await stop();
});

test.concurrent("a host gives up when its patience is over, and when it is told to", async () => {
  const nowhere = new DriverCalls("host-1", async () => null);
  expect(await joinRun(nowhere, optionsOf({ patienceMs: 0 }).options)).toBe("gone");
  expect(await joinRun(nowhere, optionsOf({ signal: AbortSignal.abort() }).options)).toBe("told");
  let finds = 0;
  const leave = new AbortController();
  const calls = new DriverCalls("host-1", async () => {
    if (++finds === 2) leave.abort();
    return null;
  });
  expect(await joinRun(calls, optionsOf({ signal: leave.signal }).options)).toBe("told");
  expect(finds).toBe(2);
});

test("a driver that cannot be reached may come back, and the terminal says so after a second, and then seldom", async () => {
  const leave = new AbortController();
  const shown: string[] = [];
  const gone = await createDriver({});
  await gone.stop();
  let finds = 0;
  const calls = new DriverCalls("host-1", async () => {
    finds++;
    return { url: gone.url, token: TOKEN };
  });
  const { options } = optionsOf({
    signal: leave.signal,
    show: (line) => void shown.push(line),
  });
  await withTimers(async ({ waiting, ring }) => {
    const joining = joinRun(calls, options);
    /** Ends the pause after this many searches at once. */
    const skip = async (count: number, pauseMs: number) => {
      await until(() => finds === count && waiting().includes(pauseMs), "the host pauses");
      ring(pauseMs);
    };
    const began = performance.now();
    for (const [index, ms] of [100, 200, 400, 800, 1600].entries()) await skip(index + 1, ms);
    await until(() => finds === 6 && waiting().includes(2000), "the longest pause has begun");
    if (performance.now() - began < 1000) expect(shown).toEqual([]);
    await until(() => performance.now() - began > 1000, "a second has passed");
    for (const count of [6, 7, 8]) await skip(count, 2000);
    await until(() => finds === 9, "the host has looked again");
    expect(shown).toHaveLength(1);
    expect(shown[0]).toStartWith("worker-1: waiting for the driver: join to http://127.0.0.1:");
    leave.abort();
    expect(await joining).toBe("told");
  });
});

test.concurrent("a refusal of the driver's file is final", async () => {
  const refusal = new MatrixError("usage", "driver.json is not a driver's file");
  const calls = new DriverCalls("host-1", () => Promise.reject(refusal));
  await expect(joinRun(calls, optionsOf().options)).rejects.toBe(refusal);
});

test.concurrent("a driver with another version of the protocol is final, and the hint says what to do", async () => {
  const server = createServer((_, response) => {
    response.statusCode = 426;
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const url = `http://127.0.0.1:${port}`;
  const calls = new DriverCalls("host-1", async () => ({ url, token: TOKEN }));
  await expect(joinRun(calls, optionsOf().options)).rejects.toMatchObject({
    code: "usage",
    message: "the driver speaks another version of the protocol",
    hint: "run the same matrix on every node",
  });
  server.close();
});

test.concurrent("a driver whose answer cannot be read is asked again", async () => {
  let asked = 0;
  const driver = await createDriver({
    join: {
      bytesMax: 1e6,
      run: () =>
        ++asked === 1 ? encodeControl("turns", { waits: [] }) : encodeControl("welcome", WELCOME),
    },
  });
  const calls = new DriverCalls("host-1", async () => ({ url: driver.url, token: TOKEN }));
  expect(await joinRun(calls, optionsOf().options)).toEqual(WELCOME);
  expect(asked).toBe(2);
  calls.close();
  await driver.stop();
});

test("a host that gives up joining wakes from its pause, and leaves no timer behind", async () => {
  const leave = new AbortController();
  const nowhere = new DriverCalls("host-1", async () => null);
  const left = await timersLeftBy(async ({ waiting }) => {
    const joining = joinRun(nowhere, optionsOf({ signal: leave.signal }).options);
    await until(() => waiting().includes(200), "the second pause has begun");
    leave.abort();
    expect(waiting()).toEqual([]);
    expect(await joining).toBe("told");
  });
  expect(left).toEqual([]);
});

test.concurrent("a host that finds a complete run and no driver leaves when it has waited for one", async () => {
  const nowhere = new DriverCalls("host-1", async () => null);
  const { options, shown } = optionsOf({ patienceMs: 150, isComplete: async () => true });
  expect(await joinRun(nowhere, options)).toBe("over");
  expect(shown).toEqual([]);
  // A driver that comes before that time is joined.
  const { calls, stop } = await createCalls([null, WELCOME]);
  expect(await joinRun(calls, optionsOf({ isComplete: async () => true }).options)).toEqual(
    WELCOME,
  );
  await stop();
});

test.concurrent("a host with the token of another run fails at once over TLS, too", async () => {
  const server = await PeerServer.listen({
    ...{ hostname: "127.0.0.1", port: 0, tls: true, token: TOKEN, self: "driver" },
    onBug: () => undefined,
  });
  const url = `https://127.0.0.1:${server.port}`;
  const calls = new DriverCalls("host-1", async () => ({ url, token: "another-token-of-a-run" }));
  await expect(joinRun(calls, optionsOf().options)).rejects.toMatchObject({
    code: "usage",
    exitCode: 2,
    message: "the driver does not know this token: it is wrong, or that of another run",
  });
  calls.close();
  await server.stop();
});
