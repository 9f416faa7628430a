// A temporary JSONL file for the rows of a dataset in another format.

import { once } from "node:events";
import { createWriteStream, existsSync, unlinkSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MatrixError, messageOf } from "../error.ts";
import { makeTemporaryFolder } from "../task/temporary-folder.ts";

export class Spool {
  readonly path: string;
  readonly #stream: ReturnType<typeof createWriteStream>;
  #offset = 0;
  /** The error of the file system that ended the writing. */
  #error: Error | null = null;
  /** True when the stream holds more than it should until it drains. */
  #full = false;
  /** Removes the file when the process exits before `remove` was called. */
  readonly #onExit = (): void => {
    if (existsSync(this.path)) unlinkSync(this.path);
  };

  private constructor(path: string) {
    this.path = path;
    this.#stream = createWriteStream(path);
    this.#stream.on("error", (error) => {
      this.#error ??= error;
    });
    process.once("exit", this.#onExit);
  }

  static async create(): Promise<Spool> {
    return new Spool(join(await makeTemporaryFolder("matrix-shuffle-"), "rows.jsonl"));
  }

  /** Writes a row. Answers its place in the file, newline excluded. */
  write(text: string): readonly [offset: number, bytes: number] {
    const bytes = Buffer.byteLength(text);
    const offset = this.#offset;
    this.#offset += bytes + 1;
    this.#full = !this.#stream.write(`${text}\n`) || this.#full;
    return [offset, bytes];
  }

  /**
   * Resolves when the stream takes more rows without filling the memory. Fails when the file cannot
   * be written.
   */
  async drained(): Promise<void> {
    if (this.#full && this.#error === null)
      await once(this.#stream, "drain").catch(() => undefined);
    this.#full = false;
    this.#throwIfBroken();
  }

  /** Resolves when the whole file can be read. Fails when it cannot be written. */
  async finish(): Promise<void> {
    await new Promise<void>((resolve) => {
      if (this.#error !== null) return resolve();
      this.#stream.once("error", () => resolve());
      this.#stream.end(() => resolve());
    });
    this.#throwIfBroken();
  }

  #throwIfBroken(): void {
    if (this.#error === null) return;
    throw new MatrixError(
      "dataset_invalid",
      `the rows to shuffle cannot be written to ${this.path}: ${messageOf(this.#error)}`,
      { cause: this.#error, hint: "set TMPDIR to a folder on a disk with room for all rows" },
    );
  }

  async remove(): Promise<void> {
    process.off("exit", this.#onExit);
    await rm(dirname(this.path), { recursive: true, force: true });
  }
}
