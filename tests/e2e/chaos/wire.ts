// A network in user space: one TUN device for each machine, and between each two a direction that
// delays, loses or cuts packets. It works where the kernel has no netem, and the same seed loses
// the same packets. It runs as a separate process: `bun wire.ts SEED DEVICE…` makes the devices,
// prints "ready", obeys one JSON command a line on stdin until that closes, and prints how many
// packets it carried and lost.

import { dlopen, ptr } from "bun:ffi";
import { createRandom } from "../../../src/task/seed.ts";

export interface WireCommand {
  /** Places of devices on the command line. */
  readonly from: number;
  readonly to: number;
  readonly delayMs: number;
  /** The fraction of packets that vanish; 1 cuts the direction. */
  readonly loss: number;
}

export interface WireCounts {
  carried: number;
  lost: number;
}

interface Direction {
  delayMs: number;
  loss: number;
  /** On their way, in order of sending. */
  packets: { dueMs: number; bytes: Uint8Array }[];
}

const TUNSETIFF = 0x400454ca;
const IFF_TUN_NO_PACKET_INFO = 0x1001;
const O_RDWR_NONBLOCK = 0x802;
const POLLIN = 1;
const PACKET_BYTES_MAX = 65_536;
const DESTINATION_OFFSET = 16;

const { symbols: libc } = dlopen("libc.so.6", {
  open: { args: ["cstring", "i32"], returns: "i32" },
  ioctl: { args: ["i32", "u64", "ptr"], returns: "i32" },
  poll: { args: ["ptr", "u64", "i32"], returns: "i32" },
  read: { args: ["i32", "ptr", "u64"], returns: "i64" },
  write: { args: ["i32", "ptr", "u64"], returns: "i64" },
});

/** Device 0 is 10.0.0.1. */
export const addressOf = (place: number) => `10.0.0.${place + 1}`;

function openTun(name: string): number {
  const fd = libc.open(Buffer.from("/dev/net/tun\0"), O_RDWR_NONBLOCK);
  const request = Buffer.alloc(40);
  request.write(name, "latin1");
  request.writeUInt16LE(IFF_TUN_NO_PACKET_INFO, 16);
  if (fd < 0 || libc.ioctl(fd, TUNSETIFF, ptr(request)) < 0)
    throw new Error(`cannot make the TUN device ${name}`);
  return fd;
}

class Wire {
  readonly #devices: readonly number[];
  readonly #directions: Direction[][];
  readonly #random: () => number;
  readonly #buffer = new Uint8Array(PACKET_BYTES_MAX);
  readonly counts: WireCounts = { carried: 0, lost: 0 };

  constructor(names: readonly string[], seed: number) {
    this.#devices = names.map(openTun);
    this.#directions = names.map(() => names.map(() => ({ delayMs: 0, loss: 0, packets: [] })));
    this.#random = createRandom(seed);
  }

  /** Waits until stdin closes. */
  run(): void {
    const stdin = 0;
    const polled = [stdin, ...this.#devices];
    const pollfds = Buffer.alloc(8 * polled.length);
    polled.forEach((fd, index) => {
      pollfds.writeInt32LE(fd, index * 8);
      pollfds.writeInt16LE(POLLIN, index * 8 + 4);
    });
    let commands = "";
    for (;;) {
      libc.poll(ptr(pollfds), polled.length, this.#deliverDue());
      const isReady = (index: number) => pollfds.readInt16LE(index * 8 + 6) !== 0;
      if (isReady(0)) {
        const count = Number(libc.read(stdin, ptr(this.#buffer), PACKET_BYTES_MAX));
        if (count <= 0) return;
        const lines = (commands + Buffer.from(this.#buffer.subarray(0, count)).toString()).split(
          "\n",
        );
        commands = lines.pop() ?? "";
        for (const line of lines) this.#obey(JSON.parse(line) as WireCommand);
      }
      for (let place = 0; place < this.#devices.length; place++)
        if (isReady(place + 1)) this.#take(place);
    }
  }

  #obey({ from, to, delayMs, loss }: WireCommand): void {
    const direction = this.#directions[from]?.[to];
    if (direction === undefined) return;
    direction.delayMs = delayMs;
    direction.loss = loss;
    // Packets that are under way when a wire is cut never arrive.
    if (loss === 1) direction.packets = [];
  }

  #take(place: number): void {
    for (;;) {
      const count = Number(
        libc.read(this.#devices[place] ?? -1, ptr(this.#buffer), PACKET_BYTES_MAX),
      );
      if (count <= 0) return;
      const to = (this.#buffer[DESTINATION_OFFSET + 3] ?? 0) - 1;
      const direction = this.#directions[place]?.[to];
      // Only IPv4 is routed; a machine also sends unrequested IPv6 packets.
      if (direction === undefined || (this.#buffer[0] ?? 0) >> 4 !== 4) continue;
      if (this.#random() < direction.loss) {
        this.counts.lost++;
        continue;
      }
      this.counts.carried++;
      direction.packets.push({
        dueMs: performance.now() + direction.delayMs,
        bytes: this.#buffer.slice(0, count),
      });
    }
  }

  /** Answers how many milliseconds are left until the next one is due; -1 when there is none. */
  #deliverDue(): number {
    const now = performance.now();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const directions of this.#directions) {
      for (const [to, { packets }] of directions.entries()) {
        let due = 0;
        for (const { dueMs, bytes } of packets) {
          if (dueMs > now) break;
          libc.write(this.#devices[to] ?? -1, ptr(bytes), bytes.length);
          due++;
        }
        packets.splice(0, due);
        nextMs = Math.min(nextMs, packets[0]?.dueMs ?? nextMs);
      }
    }
    return nextMs === Number.POSITIVE_INFINITY ? -1 : Math.ceil(nextMs - now);
  }
}

if (import.meta.main) {
  const [seed, ...names] = Bun.argv.slice(2);
  const wire = new Wire(names, Number(seed));
  console.log("ready");
  wire.run();
  console.log(JSON.stringify(wire.counts));
}
