// The one stream of a Docker command, split into its outputs.

import { expect, test } from "bun:test";
import { PassThrough } from "node:stream";
import fc from "fast-check";
import { demultiplex } from "../../../src/sandbox/docker/demultiplex.ts";
import { frame } from "../../parts/docker-engine.ts";
import { settle } from "../../parts/scripted-sandbox.ts";

function splitter() {
  const [stream, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  return { stream, stdout, stderr, done: demultiplex(stream, stdout, stderr) };
}

/** Collects an output; the returned function gives the text that has come so far. */
function collect(output: PassThrough): () => string {
  const parts: Buffer[] = [];
  output.on("data", (part: Buffer) => parts.push(part));
  return () => Buffer.concat(parts).toString();
}

test("frames reach their outputs whatever chunks they come in", async () => {
  const bytes = Buffer.concat([
    frame(1, "out ü"),
    frame(2, "err"),
    frame(1, ""),
    frame(0, "also out"),
    frame(2, "x".repeat(300)),
    frame(1, "."),
  ]);
  for (const size of [1, 2, 3, 7, 8, 9, 13, 64, bytes.length]) {
    const { stream, stdout, stderr, done } = splitter();
    const [out, err] = [collect(stdout), collect(stderr)];
    for (let at = 0; at < bytes.length; at += size) stream.write(bytes.subarray(at, at + size));
    stream.end();
    await done;
    await settle();
    expect([size, out(), err()]).toEqual([size, "out üalso out.", `err${"x".repeat(300)}`]);
  }
});

test("any frames survive any cuts", async () => {
  const frames = fc.array(fc.tuple(fc.constantFrom(1, 2), fc.uint8Array({ maxLength: 40 })));
  const cuts = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 });
  await fc.assert(
    fc.asyncProperty(frames, cuts, async (sent, sizes) => {
      const bytes = Buffer.concat(sent.map(([output, body]) => frame(output, Buffer.from(body))));
      const { stream, stdout, stderr, done } = splitter();
      const [out, err] = [collect(stdout), collect(stderr)];
      for (let at = 0, n = 0; at < bytes.length; n++) {
        const size = sizes[n % sizes.length] ?? 1;
        stream.write(bytes.subarray(at, at + size));
        at += size;
      }
      stream.end();
      await done;
      await settle();
      const wanted = (wantedOutput: number) =>
        Buffer.concat(sent.flatMap(([output, body]) => (output === wantedOutput ? [body] : [])));
      expect([out(), err()]).toEqual([wanted(1).toString(), wanted(2).toString()]);
    }),
    { numRuns: 50 },
  );
});

test("a frame may be longer than 64 KiB", async () => {
  const { stream, stdout, done } = splitter();
  const out = collect(stdout);
  stream.write(frame(1, "x".repeat(70_000)));
  stream.end(frame(1, "y"));
  await done;
  await settle();
  expect(out()).toBe(`${"x".repeat(70_000)}y`);
});

test("a slow reader of either output holds the stream up, and the stream goes on once both have read", async () => {
  const { stream, stdout, stderr } = splitter();
  const full = "x".repeat(200_000);
  stream.write(frame(1, full));
  stream.write(frame(2, full));
  await settle();
  expect(stream.isPaused()).toBe(true);
  stream.write(frame(1, "later"));
  stdout.resume();
  await settle();
  stderr.resume();
  await settle();
  expect(stream.isPaused()).toBe(false);
  let last = "";
  stdout.on("data", (part) => {
    last = String(part);
  });
  stream.write(frame(1, "last"));
  await settle();
  expect(last).toBe("last");
});

test.each(["end", "close", "error"])(
  "the split resolves when the stream emits %s",
  async (event) => {
    const { stream, done } = splitter();
    if (event === "end") stream.end();
    else stream.destroy(event === "error" ? new Error("broken") : undefined);
    await done;
  },
);
