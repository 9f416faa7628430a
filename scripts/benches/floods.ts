// Floods of strangers against a peer that serves a member over TLS: the rate of the member and the
// processor time of the server, beside an undisturbed run.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { PeerServer } from "../../src/http/peer-server.ts";
import { PeerSession } from "../../src/http/session.ts";
import { printHead, printTable, type TableRow } from "./parts/report.ts";

const TOKEN = "the-token-of-the-floods-bench";
const FLOOD = join(import.meta.dir, "parts/flood.ts");
const BODY = Buffer.alloc(10_000, "x");
/** USER_HZ, the same on every Linux that Bun runs on. */
const TICK_MS = 10;
const KINDS = [
  ...["no windows", "many requests", "rapid reset", "headers without end"],
  ...["pings", "settings", "slow bodies", "handshakes"],
];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: "string", default: "0" },
    /** Seconds of each measurement. */
    seconds: { type: "string", default: "5" },
    /** Requests of the member in a second. */
    rate: { type: "string", default: "300" },
  },
});

if (positionals[0] === "serve") await serve();
else {
  const rate = Number(values.rate);
  printHead(`floods: ${rate} requests/s of a member, of 10 kB over TLS`, values.seed);
  const columns = ["requests/s", ["cores", 2], "connections"] as const;
  const rows: TableRow[] = [await measure(null)];
  for (const kind of KINDS) rows.push(await measure(kind));
  printTable("", columns, rows);
}

async function serve(): Promise<void> {
  const server = await PeerServer.listen({
    ...{ hostname: "127.0.0.1", port: 0, token: TOKEN, tls: true, self: "server" },
    onBug: (thrown) => console.error(thrown),
  });
  const echo = { bytesMax: 2 ** 20, run: (body: Uint8Array) => body };
  server.start({ routes: { echo }, metrics: () => "" });
  console.log(server.port);
}

/** `cores` is the processor time of the server, user and system, in a second. */
async function measure(kind: string | null): Promise<TableRow> {
  const server = Bun.spawn([process.execPath, import.meta.path, "serve"], { stdout: "pipe" });
  const { value } = await server.stdout.getReader().read();
  const port = new TextDecoder().decode(value).trim();
  const flood =
    kind === null
      ? null
      : Bun.spawn([process.execPath, FLOOD, kind, port], { stdout: "pipe", stderr: "inherit" });
  const session = new PeerSession({
    ...{ url: `https://127.0.0.1:${port}`, token: TOKEN, self: "member", peer: "server" },
  });
  await session.request("echo", BODY, { timeoutMs: 60_000 });
  await Bun.sleep(1000);
  const [cpuMs, began] = [cpuMsOf(server.pid), performance.now()];
  const served = await ask(session);
  const seconds = (performance.now() - began) / 1000;
  const cores = (cpuMsOf(server.pid) - cpuMs) / 1000 / seconds;
  session.close();
  flood?.kill("SIGKILL");
  const told = flood === null ? "" : await new Response(flood.stdout).text();
  server.kill("SIGKILL");
  const connections = Number(told.trim().split("\n").at(-1) ?? 0);
  return [kind ?? "undisturbed", served / seconds, cores, connections];
}

/** Makes requests at the wanted rate, as far as they are answered. Returns how many were. */
async function ask(session: PeerSession): Promise<number> {
  const everyMs = 1000 / Number(values.rate);
  const until = performance.now() + Number(values.seconds) * 1000;
  let served = 0;
  const under = new Set<Promise<void>>();
  for (let due = performance.now(); due < until; due += everyMs) {
    await Bun.sleep(Math.max(0, due - performance.now()));
    const one = session.request("echo", BODY, { timeoutMs: 60_000 }).then(
      () => void served++,
      () => undefined,
    );
    under.add(one);
    void one.then(() => under.delete(one));
  }
  await Promise.all(under);
  return served;
}

function cpuMsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
