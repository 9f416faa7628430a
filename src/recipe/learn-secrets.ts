// The secrets that a process can know: those of a recipe, and those of the environment.

import { knowSecret } from "../known-secrets.ts";
import { isJsonObject, type JsonObject } from "../task/json.ts";
import { type Environment, mapLeaves, type Reference } from "./compose.ts";
import { hasCredentials, isOpenText, isSecretKey, isUrlKey } from "./keys.ts";

/** Names of variables that hold secrets, unless their value is a path. */
const SECRET_NAME =
  /(?:^|_)(?:API_?KEY|ACCESS_KEY|SECRET|SECRET_?KEY|TOKEN|PASSWORD|PASSWD|PRIVATE_KEY|PAT)$/i;
const HEADERS = /^OTEL_EXPORTER_OTLP_(?:\w+_)?HEADERS$/;

/** Learns the variables whose names say that they are secrets, and credentials in URLs. */
export function learnEnvironment(env: Environment): void {
  for (const [name, value = ""] of Object.entries(env)) {
    // The token of a run is learned where it is read, once it is known to be one.
    const isSecret = SECRET_NAME.test(name) && name !== "MATRIX_TOKEN";
    if (isSecret && !/^[/~.]/.test(value)) knowSecret(value.trim(), name);
    if (hasCredentials(value)) learnUrl(value);
    if (!HEADERS.test(name)) continue;
    for (const pair of value.split(","))
      learnHeader(decoded(pair.slice(pair.indexOf("=") + 1).trim()));
  }
}

/** Learns the values of a recipe's secrets. `filled` is its table with them. */
export function learnRecipe(
  filled: JsonObject,
  references: readonly Reference[],
  env: Environment,
): void {
  for (const { variable, isSecret, key } of references) {
    const value = env[variable] ?? "";
    // A variable that is a part of a URL may be its host.
    if (isSecret && !isUrlKey(key))
      knowSecret(value.replace(/^(?:bearer|basic|token) /i, ""), variable);
  }
  mapLeaves(isJsonObject(filled["models"]) ? { models: filled["models"] } : {}, "", (text, key) => {
    if (isUrlKey(key) && hasCredentials(text)) learnUrl(text);
    else if (isSecretKey(key) && !isOpenText(key, text)) learnHeader(text);
    return text;
  });
}

/** Learns the value, and the credentials behind a scheme. */
function learnHeader(value: string): void {
  knowSecret(value);
  knowSecret(value.replace(/^\w+ /, ""));
}

/** Learns user, password and the parameters of a URL that has credentials. */
function learnUrl(text: string): void {
  if (!URL.canParse(text)) return;
  const { username, password, searchParams } = new URL(text);
  knowSecret(decoded(password));
  // Without a password, the user is a token.
  if (password === "") knowSecret(decoded(username));
  else knowSecret(Buffer.from(`${decoded(username)}:${decoded(password)}`).toString("base64"));
  for (const [name, value] of searchParams) if (hasCredentials(`?${name}=x`)) knowSecret(value);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
