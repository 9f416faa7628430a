// A secret that the process knows for as long as a test needs it.

import { knowSecret } from "../../src/known-secrets.ts";

export const SECRET = "value-of-a-known-secret";

/** `[KNOWN]` stands for SECRET in what `use` lets out. */
export async function withSecret<T>(use: () => T | Promise<T>): Promise<T> {
  const forget = knowSecret(SECRET, "KNOWN");
  try {
    return await use();
  } finally {
    forget();
  }
}
