// Machines on one Linux: network namespaces joined by the wire of wire.ts, which is told here what
// each way does to packets. Needs root, `ip` and /dev/net/tun. Everything it makes has a name of
// its own and is gone when it is disposed of.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { addressOf, type WireCommand, type WireCounts } from "./wire.ts";

const PREFIX_BITS = 24;

export interface Machine {
  readonly place: number;
  readonly address: string;
  /** The beginning of a command line that runs there. */
  readonly inside: readonly string[];
}

/** The reason why no network can be made here; null when one can. */
export function networkMissing(): string | null {
  if (process.platform !== "linux") return "network namespaces need Linux";
  if (process.getuid?.() !== 0) return "network namespaces need root";
  if (Bun.which("ip") === null) return "the command ip (iproute2) is missing";
  if (!existsSync("/dev/net/tun")) return "/dev/net/tun is missing";
  return null;
}

export class Network implements AsyncDisposable {
  readonly machines: readonly Machine[];
  readonly #namespaces: readonly string[];
  readonly #wire: Bun.Subprocess<"pipe", "pipe", "inherit">;

  private constructor(
    namespaces: readonly string[],
    wire: Bun.Subprocess<"pipe", "pipe", "inherit">,
  ) {
    this.#namespaces = namespaces;
    this.#wire = wire;
    this.machines = namespaces.map((name, place) => ({
      place,
      address: addressOf(place),
      inside: ["ip", "netns", "exec", name],
    }));
  }

  static async create(count: number, seed: number): Promise<Network> {
    const mark = crypto.randomUUID().slice(0, 8);
    const namespaces = Array.from({ length: count }, (_, place) => `matrix-${mark}-${place}`);
    // A device's name has at most 15 characters.
    const devices = namespaces.map((_, place) => `mx${mark}${place}`);
    const wire = Bun.spawn(
      [process.execPath, join(import.meta.dir, "wire.ts"), String(seed), ...devices],
      {
        stdin: "pipe",
        stdout: "pipe",
        stderr: "inherit",
      },
    );
    const network = new Network(namespaces, wire);
    try {
      await firstLine(wire.stdout);
      for (const [place, name] of namespaces.entries()) {
        const device = devices[place] ?? "";
        ip("netns", "add", name);
        ip("link", "set", device, "netns", name);
        ip("-n", name, "addr", "add", `${addressOf(place)}/${PREFIX_BITS}`, "dev", device);
        ip("-n", name, "link", "set", device, "up");
        ip("-n", name, "link", "set", "lo", "up");
      }
    } catch (thrown) {
      await network[Symbol.asyncDispose]();
      throw thrown;
    }
    return network;
  }

  /** Sets what happens to packets from one machine to another, in one direction. */
  oneWay(
    from: Machine,
    to: Machine,
    { delayMs = 0, loss = 0 }: Partial<Pick<WireCommand, "delayMs" | "loss">>,
  ): void {
    const command: WireCommand = { from: from.place, to: to.place, delayMs, loss };
    this.#wire.stdin.write(`${JSON.stringify(command)}\n`);
    this.#wire.stdin.flush();
  }

  /** Sets what happens to packets between each machine of one side and each of the other. */
  between(
    one: readonly Machine[],
    other: readonly Machine[],
    what: Partial<Pick<WireCommand, "delayMs" | "loss">>,
  ): void {
    for (const a of one) {
      for (const b of other) {
        if (a === b) continue;
        this.oneWay(a, b, what);
        this.oneWay(b, a, what);
      }
    }
  }

  /** Takes the wire down and says what went over it. */
  async close(): Promise<WireCounts> {
    this.#wire.stdin.end();
    return JSON.parse(await firstLine(this.#wire.stdout)) as WireCounts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#wire.kill("SIGKILL");
    await this.#wire.exited;
    for (const name of this.#namespaces)
      Bun.spawnSync(["ip", "netns", "delete", name], { stderr: "ignore" });
  }
}

/** The next line that a program prints; it prints one at a time. */
async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const reader = stream.getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error("the wire ended before it said anything");
    text += Buffer.from(value).toString();
  }
  reader.releaseLock();
  return text.trim();
}

function ip(...args: readonly string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["ip", ...args]);
  if (exitCode !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr.toString().trim()}`);
}
