// The windows that the replicas of a run were found to have, in one small file of the run
// directory, so that the next start does not have to find them again. Every process of the run
// writes it; the last one wins, which is as good as any. A file that cannot be read or written
// costs nothing but that: windows are found again by use.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "../../durable-file.ts";
import { isJsonObject, type Json } from "../../task/json.ts";
import type { FoundWindows } from "../context.ts";

const FILE = "windows.json";
/** Changes are collected for this long. */
const WRITE_MS = 1000;

export class FoundWindowsFile implements FoundWindows {
  readonly #path: string;
  readonly #sizes: Map<string, number>;
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<void> = Promise.resolve();

  private constructor(path: string, sizes: Map<string, number>) {
    this.#path = path;
    this.#sizes = sizes;
  }

  static async open(directory: string): Promise<FoundWindowsFile> {
    const path = join(directory, FILE);
    return new FoundWindowsFile(path, await readSizes(path));
  }

  find(model: string, replica: string): number | null {
    return this.#sizes.get(keyOf(model, replica)) ?? null;
  }

  note(model: string, replica: string, size: number | null): void {
    const key = keyOf(model, replica);
    if ((this.#sizes.get(key) ?? null) === size) return;
    if (size === null) this.#sizes.delete(key);
    else this.#sizes.set(key, size);
    this.#timer ??= setTimeout(() => this.#write(), WRITE_MS).unref();
  }

  /** Writes what changed last. */
  async close(): Promise<void> {
    if (this.#timer !== null) this.#write();
    await this.#writing;
  }

  #write(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const text = `${JSON.stringify(Object.fromEntries(this.#sizes), null, 2)}\n`;
    this.#writing = this.#writing.then(() => replaceFile(this.#path, text)).catch(() => undefined);
  }
}

function keyOf(model: string, replica: string): string {
  return `${model} ${replica}`;
}

async function readSizes(path: string): Promise<Map<string, number>> {
  let value: Json;
  try {
    value = JSON.parse(await readFile(path, "utf8"));
  } catch {
    return new Map();
  }
  const entries = isJsonObject(value) ? Object.entries(value) : [];
  return new Map(
    entries.filter(
      (entry): entry is [string, number] => Number.isSafeInteger(entry[1]) && Number(entry[1]) > 0,
    ),
  );
}
