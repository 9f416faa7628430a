// The data of a bundle, as scripts. A page from file:// may not fetch, but it may load scripts. The
// value is JSON in a text, because a literal would let a record set prototypes.

import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MatrixError, messageOf } from "../../error.ts";

export async function writeData(folder: string, name: string, value: unknown): Promise<void> {
  const json = JSON.stringify(JSON.stringify(value));
  await writeIn(
    folder,
    `data/${name}.js`,
    `matrixBundle(${JSON.stringify(name)},JSON.parse(${json}));\n`,
  );
}

/** Fails with `storage_failed`. */
export async function writeIn(
  folder: string,
  name: string,
  content: string | Uint8Array,
): Promise<void> {
  const path = join(folder, name);
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
  } catch (cause) {
    throw new MatrixError("storage_failed", `cannot write ${path}: ${messageOf(cause)}`, { cause });
  }
}

/** Values that are written in parts, each to a file of its own. */
export class DataParts {
  /** The number of values before each part. */
  readonly firsts: number[] = [];
  readonly #folder: string;
  readonly #name: string;
  readonly #chars: number;
  readonly #values: number;
  #part: string[] = [];
  #size = 0;

  /** A part is written when it has `chars` characters or `values` values. */
  constructor(folder: string, name: string, chars: number, values: number) {
    this.#folder = folder;
    this.#name = name;
    this.#chars = chars;
    this.#values = values;
  }

  /** Adds a value. `first` is the number in `firsts` for a part that begins with it. */
  async add(value: unknown, first: number): Promise<void> {
    const text = JSON.stringify(value);
    if (this.#part.length > 0 && this.#size + text.length > this.#chars) await this.flush();
    if (this.#part.length === 0) this.firsts.push(first);
    this.#part.push(text);
    this.#size += text.length;
    if (this.#part.length === this.#values) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.#part.length === 0) return;
    const name = `${this.#name}-${this.firsts.length - 1}`;
    const json = JSON.stringify(`[${this.#part.join(",")}]`);
    const script = `matrixBundle(${JSON.stringify(name)},JSON.parse(${json}));\n`;
    await writeIn(this.#folder, `data/${name}.js`, script);
    this.#part = [];
    this.#size = 0;
  }
}
