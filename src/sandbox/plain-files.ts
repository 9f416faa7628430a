// Files that a sandbox made set-user-id in a writable mount. They would run as the caller for every
// user of this machine, so they are plain again when the sandbox ends.

import { environment, runChild } from "./spawn.ts";

/**
 * Shell function that makes them plain below a folder: those whose status changed after that of the
 * file in `$since`.
 */
export const MAKE_PLAIN = `
make_plain() {
  find "$1" -type f '(' -perm -4000 -o -perm -2000 ')' -cnewer "$since" -exec chmod a-s '{}' + 2>/dev/null
}`;

/** Run as `sh -c PLAIN sh SINCE FOLDER…`. */
const PLAIN = `${MAKE_PLAIN}
since=$1
shift
for folder in "$@"; do make_plain "$folder"; done
`;

/**
 * Searches folders one after another. Sandboxes that end during a search share the next one, so
 * that a large folder costs one search at a time, however many sandboxes write to it.
 */
export class PlainFiles {
  readonly #since: string;
  #wanted = new Set<string>();
  #searching: Promise<void> | null = null;

  constructor(since: string) {
    this.#since = since;
  }

  /** Resolves when a search that began after this call has ended. */
  async make(folders: readonly string[]): Promise<void> {
    if (folders.length === 0) return;
    for (const folder of folders) this.#wanted.add(folder);
    while (this.#searching !== null) await this.#searching;
    const wanted = [...this.#wanted];
    if (wanted.length === 0) return;
    this.#wanted = new Set();
    this.#searching = runChild("/bin/sh", ["-c", PLAIN, "matrix-plain", this.#since, ...wanted], {
      env: environment(),
    }).then(() => {
      this.#searching = null;
    });
    await this.#searching;
  }
}
