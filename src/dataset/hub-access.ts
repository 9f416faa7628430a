// The address of the Hugging Face hub and the user's token, found as the hub's own programs find
// them.

import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

const HUB = "https://huggingface.co";

type Environment = Readonly<Record<string, string | undefined>>;

export interface HubAccess {
  /** Without a slash at the end. */
  readonly endpoint: string;
  /** Null when the user has none. */
  readonly token: string | null;
}

/**
 * HF_ENDPOINT names the hub. The token is that of HF_TOKEN, else that of the file HF_TOKEN_PATH,
 * else that of the file `token` in HF_HOME, which `hf auth login` writes.
 */
export async function hubAccess(env: Environment): Promise<HubAccess> {
  const endpoint = (env["HF_ENDPOINT"] || HUB).replace(/\/+$/, "");
  const token = cleaned(env["HF_TOKEN"] ?? env["HUGGING_FACE_HUB_TOKEN"] ?? "");
  if (token !== "") return { endpoint, token };
  const cache = env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  const home = env["HF_HOME"] || join(cache, "huggingface");
  const text = await readFile(env["HF_TOKEN_PATH"] || join(home, "token"), "utf8").catch(() => "");
  return { endpoint, token: cleaned(text) || null };
}

/** A token as it may stand in a header: without line ends and spaces around it. */
function cleaned(token: string): string {
  return token.replace(/[\r\n]/g, "").trim();
}
