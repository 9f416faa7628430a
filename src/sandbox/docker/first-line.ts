// The stdout of a command begins with a line that only a started command can print. Without that
// line, what Docker sends as output is the engine's own text: the reason why it started nothing.

import { Transform, type TransformCallback } from "node:stream";
import { START } from "../holder.ts";
import { keepMarks, MARK } from "../marked-processes.ts";

/** Run as `sh -c ANNOUNCED sh MARK FOLDER COMMAND…`: prints the mark, then becomes the command. */
export const ANNOUNCED = `${keepMarks(MARK.command)}; echo "$1"; shift; ${START}`;

/** Bytes kept of the engine's text. */
const REASON_BYTES_MAX = 2000;

/** Passes on, byte for byte, what follows the first line; passes on nothing without that line. */
export class FirstLine extends Transform {
  readonly #line: Buffer;
  /** Output before the line is complete. Later, the engine's text. */
  #held: Buffer = Buffer.alloc(0);
  #begun = false;

  constructor(mark: string) {
    super();
    this.#line = Buffer.from(`${mark}\n`);
  }

  /** True once the whole line has come. */
  get begun(): boolean {
    return this.#begun;
  }

  /** The beginning of what the engine wrote in place of a command's output. */
  get reason(): string {
    return this.#held.toString().trim();
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    if (this.#begun) {
      done(null, chunk);
      return;
    }
    const all = Buffer.concat([this.#held, chunk]);
    if (!all.subarray(0, this.#line.length).equals(this.#line)) {
      this.#held = all.subarray(0, REASON_BYTES_MAX);
      done();
      return;
    }
    this.#begun = true;
    this.#held = Buffer.alloc(0);
    const rest = all.subarray(this.#line.length);
    if (rest.length > 0) this.push(rest);
    done();
  }
}
