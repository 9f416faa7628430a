// The errors of a push, in words that tell what the user can do.

import type { HubAccess } from "../../dataset/hub-access.ts";
import { MatrixError, messageOf } from "../../error.ts";
import type { HubTarget } from "./target.ts";

/** An answer that the library of the hub throws as an error. */
interface Refusal extends Error {
  readonly statusCode: number;
  readonly url: string;
}

function isRefusal(thrown: unknown): thrown is Refusal {
  return (
    thrown instanceof Error &&
    "statusCode" in thrown &&
    typeof thrown.statusCode === "number" &&
    "url" in thrown &&
    typeof thrown.url === "string"
  );
}

/** True for an answer of the hub with one of these statuses. */
export function isStatus(thrown: unknown, statuses: readonly number[]): boolean {
  return isRefusal(thrown) && statuses.includes(thrown.statusCode);
}

/** The error of a push that the hub, or the way to it, ended. */
export function pushFailed(
  { target, access }: { readonly target: HubTarget; readonly access: HubAccess },
  thrown: unknown,
): MatrixError {
  const what = `cannot push to hf://${target.id}`;
  // Servers of uploads answer with such a status, too, for example when an address is too old.
  const isHub = isRefusal(thrown) && thrown.url.startsWith(`${access.endpoint}/`);
  if (!isHub || thrown.statusCode < 400 || thrown.statusCode >= 500 || isStatus(thrown, [429]))
    return new MatrixError("storage_failed", `${what} at ${access.endpoint}: ${reasonOf(thrown)}`, {
      cause: thrown,
      hint: "run the same command again; files that were uploaded are kept",
    });
  const hint = !isStatus(thrown, [401, 403, 404])
    ? "change what the hub names, and run the command again"
    : access.token === null
      ? "set HF_TOKEN to a token that may write, or log in with `hf auth login`"
      : `check the name ${target.id}, and that the token may write to it`;
  return new MatrixError("usage", `${what}: the hub refuses it: ${reasonOf(thrown)}`, {
    cause: thrown,
    hint,
  });
}

/** The first line of a reason, without the address of an upload, which is a key to it. */
function reasonOf(thrown: unknown): string {
  const [line = ""] = messageOf(thrown).split("\n");
  const text = line.replace(/\.? URL: \S+/, "");
  return isRefusal(thrown) ? `HTTP ${thrown.statusCode}: ${text}` : text;
}
