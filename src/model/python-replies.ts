// The replies of a simulated model in Python: a function of the request, the settings, and a
// generator whose seed comes from the request.

import { MatrixError } from "../error.ts";
import { failureOf, type Opened } from "../python/files.ts";
import { isJsonObject, type JsonObject } from "../task/json.ts";
import type { ChatRequest } from "./contract.ts";
import type { RemoteReplies, Reply } from "./simulated.ts";

/** The replies of an opened file. They fail with `model_refused_request`. */
export function createPythonReplies(path: string, { pool }: Opened): RemoteReplies {
  return {
    isRemote: true,
    write: async (request: ChatRequest, settings: JsonObject, seed: number) => {
      const question = { op: "replies", request, settings, seed };
      const { error, decided } = await pool.ask(JSON.stringify(question));
      if (isJsonObject(error)) throw failureOf("model_refused_request", path, error);
      return replyOf(path, decided);
    },
  };
}

function replyOf(path: string, decided: unknown): Reply {
  if (typeof decided === "string") return decided;
  const content = isJsonObject(decided) ? (decided["content"] ?? null) : undefined;
  if (isJsonObject(decided) && (content === null || typeof content === "string"))
    return { ...decided, role: "assistant", content };
  throw new MatrixError(
    "model_refused_request",
    `${path} returned ${JSON.stringify(decided)}; a reply is text or an assistant message`,
  );
}
