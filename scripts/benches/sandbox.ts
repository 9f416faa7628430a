// Sandboxes: the time from a start to the agent's first answer, of a round trip over stdio, of a
// command, and of 200 starts in flight, with every engine of this machine. An engine that is
// missing is left out, and a line says so.

import { cpus, loadavg, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { findApptainer } from "../../src/sandbox/apptainer/program.ts";
import { ApptainerSandboxes } from "../../src/sandbox/apptainer/sandboxes.ts";
import { Channel } from "../../src/sandbox/channel.ts";
import type { EngineName, Sandbox, Sandboxes, SandboxSpec } from "../../src/sandbox/contract.ts";
import { reportDocker } from "../../src/sandbox/docker/client.ts";
import { DockerSandboxes } from "../../src/sandbox/docker/sandboxes.ts";
import { exec } from "../../src/sandbox/exec.ts";
import { prepareImage } from "../../src/sandbox/image/prepare.ts";
import { Lease } from "../../src/sandbox/lease.ts";
import { ProcessSandboxes } from "../../src/sandbox/process.ts";
import { Starts } from "../../src/sandbox/starts.ts";
import type { Log } from "../../src/telemetry/log.ts";

const { values } = parseArgs({
  options: {
    image: { type: "string", default: "python:3.12-slim" },
    starts: { type: "string", default: "200" },
    rounds: { type: "string", default: "10" },
    trips: { type: "string", default: "2000" },
    engines: { type: "string", default: "docker,apptainer,process" },
  },
});
const log: Log = {
  write: (_level, message) => console.error(message),
  close: async () => undefined,
};
/** A shell loop that replies to every request by its id; each image has a shell. */
const ECHO = [
  "/bin/sh",
  "-c",
  'while read -r line; do id=${line##*:}; echo "{\\"id\\":${id%\\}},\\"ok\\":true}"; done',
];
const SPEC: SandboxSpec = {
  name: "bench",
  image: "",
  memoryBytes: 256 * 2 ** 20,
  diskBytes: null,
  cpus: 1,
  pids: 64,
  network: "none",
  readOnly: true,
  user: "caller",
  mounts: [],
  env: {},
  workdir: "/work",
};

interface Measured {
  readonly engine: EngineName;
  readonly startMs: readonly number[];
  readonly tripMs: readonly number[];
  readonly commandMs: readonly number[];
  readonly manyMs: number;
  readonly manyFailed: number;
}

console.log(
  `sandbox: ${cpus().length} cores (${cpus()[0]?.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB, load ${loadavg()[0]?.toFixed(1)}, bun ${Bun.version}, ${new Date().toISOString()}, no seed: nothing is random\n`,
);
await using lease = await Lease.take({ run: "bench", host: "bench" });
const rows: Measured[] = [];
for (const engine of values.engines.split(",") as EngineName[]) {
  const found = await connect(engine);
  if (found !== null)
    rows.push(await measure(engine, found.sandboxes, { ...SPEC, image: found.image }));
}
print(rows);

async function connect(
  engine: EngineName,
): Promise<{ sandboxes: Sandboxes; image: string } | null> {
  if (engine === "process") return { sandboxes: new ProcessSandboxes(lease), image: "" };
  const apptainer = await findApptainer();
  const { usable, says } =
    engine === "docker"
      ? await reportDocker()
      : { usable: apptainer !== null, says: "no apptainer in PATH" };
  if (!usable) {
    console.log(`skipped: ${says}`);
    return null;
  }
  const image = await prepareImage(values.image, engine, { log, apptainer: apptainer ?? "" });
  return {
    sandboxes:
      engine === "docker"
        ? await DockerSandboxes.connect(lease, log)
        : new ApptainerSandboxes(apptainer ?? "", lease, log),
    image,
  };
}

async function measure(
  engine: EngineName,
  sandboxes: Sandboxes,
  spec: SandboxSpec,
): Promise<Measured> {
  const startMs: number[] = [];
  for (let round = 0; round <= Number(values.rounds); round++) {
    const startedAt = performance.now();
    await using sandbox = await sandboxes.start(spec);
    const channel = await openEcho(sandbox);
    await channel.request({ op: "x" }, { timeoutMs: 60_000 });
    // The first start is not counted, because nothing is in the page cache yet.
    if (round > 0) startMs.push(performance.now() - startedAt);
  }
  await using sandbox = await sandboxes.start(spec);
  const channel = await openEcho(sandbox);
  const tripMs = await timed(Number(values.trips), () =>
    channel.request({ op: "x" }, { timeoutMs: 60_000 }),
  );
  const commandMs = await timed(20, () =>
    exec(sandbox, { args: ["/bin/true"], timeoutMs: 60_000, outputBytesMax: 1000 }),
  );
  return { engine, startMs, tripMs, commandMs, ...(await startMany(sandboxes, spec)) };
}

async function openEcho(sandbox: Sandbox): Promise<Channel> {
  return new Channel(await sandbox.open({ args: ECHO }), {
    name: "echo",
    lineBytesMax: 2 ** 20,
    onStderr: () => undefined,
  });
}

async function timed(times: number, once: () => Promise<unknown>): Promise<number[]> {
  const taken: number[] = [];
  for (let time = 0; time < times; time++) {
    const startedAt = performance.now();
    await once();
    taken.push(performance.now() - startedAt);
  }
  return taken;
}

/** Starts all sandboxes at once. Each answers once and runs until the last one has answered. */
async function startMany(
  sandboxes: Sandboxes,
  spec: SandboxSpec,
): Promise<{ manyMs: number; manyFailed: number }> {
  const starts = new Starts({ atOnceMax: 4 * cpus().length, log, clock: () => performance.now() });
  const running: Sandbox[] = [];
  const startedAt = performance.now();
  const outcomes = await Promise.allSettled(
    Array.from({ length: Number(values.starts) }, async () => {
      const sandbox = await starts.run(() =>
        sandboxes.start({ ...spec, memoryBytes: 32 * 2 ** 20 }),
      );
      running.push(sandbox);
      await (await openEcho(sandbox)).request({ op: "x" }, { timeoutMs: 120_000 });
    }),
  );
  const manyMs = performance.now() - startedAt;
  const failures = outcomes.filter((outcome) => outcome.status === "rejected");
  for (const { reason } of failures.slice(0, 3)) console.error(String(reason));
  await Promise.all(running.map((sandbox) => sandbox.stop()));
  return { manyMs, manyFailed: failures.length };
}

function print(rows: readonly Measured[]): void {
  const quantile = (sample: readonly number[], q: number) =>
    [...sample].sort((a, b) => a - b)[Math.floor(q * (sample.length - 1))] ?? 0;
  const pair = (sample: readonly number[], digits: number) =>
    `${quantile(sample, 0.5).toFixed(digits)} / ${quantile(sample, 0.99).toFixed(digits)}`.padStart(
      20,
    );
  const heads = [
    "first answer ms",
    "round trip ms",
    "command ms",
    `${values.starts} starts s`,
    "failed",
  ];
  console.log(
    `${"p50 / p99".padEnd(12)}${heads.map((head, index) => head.padStart(index < 3 ? 20 : 12)).join("")}`,
  );
  for (const { engine, startMs, tripMs, commandMs, manyMs, manyFailed } of rows) {
    const many = (manyMs / 1000).toFixed(1).padStart(12) + String(manyFailed).padStart(12);
    console.log(engine.padEnd(12) + pair(startMs, 0) + pair(tripMs, 3) + pair(commandMs, 1) + many);
  }
  console.log(
    "\nfirst answer: time from the start of a sandbox to the first reply of its agent. starts: all are requested at once, and each answers once.",
  );
}
