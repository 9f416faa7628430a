// A bound on the memory of decoded pages. A run of equal values takes a few bytes of a file and any
// number in memory, and so does a dictionary whose entries are all alike. A reader holds a page and
// a dictionary of each leaf, so the bound is one for all leaves of a row group.

/** Bytes that decoded pages and dictionaries have together. */
const BYTES_MAX = 2 * 2 ** 30;

export class PageMemory {
  readonly #bytesMax: number;
  readonly #held = new Map<string, number>();
  #bytes = 0;

  constructor(bytesMax = BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  /**
   * The page or dictionary of a column now has this many bytes, in place of what it had before.
   * Fails when all of them have too many.
   */
  hold(kind: "page" | "dictionary", column: string, bytes: number): void {
    const holder = `${kind} ${column}`;
    this.#bytes += bytes - (this.#held.get(holder) ?? 0);
    this.#held.set(holder, bytes);
    if (this.#bytes > this.#bytesMax)
      throw new Error(
        `with a ${kind} of the column "${column}", the values that are read at once take more ` +
          `than ${this.#bytesMax / 2 ** 20} MiB of memory; the file is damaged, or has to be ` +
          "written with smaller pages and dictionaries",
      );
  }
}
