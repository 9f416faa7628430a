// Splits the one stream that Docker sends of a command into its two outputs. A frame has a head of
// 8 bytes (output, length) and a body. A slow reader holds the engine up, so that nothing piles up
// in our memory.

import type { Writable } from "node:stream";

/** Resolves when the stream has ended or broken off. */
export function demultiplex(
  stream: NodeJS.ReadableStream,
  stdout: Writable,
  stderr: Writable,
): Promise<void> {
  return new Promise((resolve) => {
    const head = Buffer.alloc(8);
    let headBytes = 0;
    let bodyLeft = 0;
    const waiting = new Set<Writable>();
    stream.on("data", (chunk: Buffer) => {
      let at = 0;
      while (at < chunk.length) {
        if (bodyLeft === 0) {
          const taken = chunk.copy(head, headBytes, at, at + 8 - headBytes);
          at += taken;
          headBytes += taken;
          if (headBytes < 8) continue;
          headBytes = 0;
          bodyLeft = head.readUInt32BE(4);
          continue;
        }
        const part = chunk.subarray(at, at + bodyLeft);
        at += part.length;
        bodyLeft -= part.length;
        const output = head[0] === 2 ? stderr : stdout;
        if (output.write(part) || waiting.has(output)) continue;
        waiting.add(output);
        stream.pause();
        output.once("drain", () => {
          waiting.delete(output);
          if (waiting.size === 0) stream.resume();
        });
      }
    });
    stream.on("end", resolve);
    stream.on("close", resolve);
    stream.on("error", resolve);
  });
}
