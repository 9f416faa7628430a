// Credentials of an endpoint: its key, its headers, and those in its URL. Requests carry them.
// Labels, errors, logs and records never do, also when a server repeats them.

import type { OpenaiModelConfig } from "../../recipe/schema/model-schema.ts";

/** Shorter values are no secrets. Masking them would hide words of every error. */
const SECRET_CHARS_MIN = 6;
const MASK = "…";

interface Credentials {
  /** The URL without user and password. Its query stays, because the server reads it. */
  readonly bare: string;
  readonly authorization: string | null;
  readonly secrets: readonly string[];
}

/** The key of the recipe goes before the user and the password of the URL. */
export function readCredentials(
  text: string,
  { api_key: key = "", headers }: Pick<OpenaiModelConfig, "api_key" | "headers">,
): Credentials {
  const url = new URL(text);
  const [user, password] = [decoded(url.username), decoded(url.password)];
  const query = [...url.searchParams.values()];
  const basic = Buffer.from(`${user}:${password}`).toString("base64");
  url.username = "";
  url.password = "";
  const authorization =
    key !== "" ? `Bearer ${key}` : user !== "" || password !== "" ? `Basic ${basic}` : null;
  const values = Object.values(headers).flatMap((value) => [value, value.replace(/^\w+ /, "")]);
  const secrets = [key, user, password, basic, ...query, ...query.map(encodeURIComponent)];
  return { bare: url.href, authorization, secrets: [...secrets, ...values] };
}

/** A URL as people may see it: without user, password, query and fragment. */
export function publicUrl(text: string): string {
  if (!URL.canParse(text)) return text.replace(/\/\/[^/@]*@/, "//").replace(/[?#].*$/s, "");
  const url = new URL(text);
  if (url.username === "" && url.password === "" && url.search === "" && url.hash === "")
    return text;
  for (const part of ["username", "password", "search", "hash"] as const) url[part] = "";
  return url.href.replace(/\/$/, "");
}

/** Replaces every secret in a text. The longest goes first, because one may contain another. */
export function masking(secrets: readonly string[]): (text: string) => string {
  const hidden = [...new Set(secrets)]
    .filter((secret) => secret.length >= SECRET_CHARS_MIN)
    .sort((a, b) => b.length - a.length);
  if (hidden.length === 0) return (text) => text;
  return (text) => hidden.reduce((masked, secret) => masked.replaceAll(secret, MASK), text);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
