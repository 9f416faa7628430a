// The state of a graph as JSON. Messages of LangChain are the only objects of a class that it may
// hold, by themselves or in lists; they become the JSON in which LangChain writes them itself.

import { ExactNumber } from "../../task/exact.ts";
import type { Json, JsonObject } from "../../task/json.ts";
import { deriveSeed } from "../../task/seed.ts";

/**
 * Loads `@langchain/core/messages`, which user modules import, too. The name here is that of
 * package.json, because a module that is provided to them must be loaded by another name.
 */
export const importMessages = () => import("#messages");

/** The classes that messages are made of again. */
export type MessageClasses = Awaited<ReturnType<typeof importMessages>>;

/** A message, as far as this file knows it. */
interface Message {
  id?: string | undefined;
  readonly lc_kwargs: Record<string, unknown>;
  toJSON(): unknown;
}

/** A message in JSON. */
interface Written extends JsonObject {
  readonly lc: 1;
  readonly id: readonly string[];
  readonly kwargs: JsonObject;
}

/** The name of an object that LangGraph itself writes in this form. */
const OVERWRITE = "Overwrite";

/**
 * The value as JSON, which is the value itself where it holds no message. Throws for an object of
 * another class, which would arrive on another host as a plain object.
 */
export function asJson(value: unknown, path: string): Json {
  if (typeof value !== "object" || value === null || value instanceof ExactNumber)
    return value as Json;
  if (isMessage(value)) return JSON.parse(JSON.stringify(value)) as Json;
  if (Array.isArray(value)) return changed(value, path) ?? (value as Json);
  const isPlain = [Object.prototype, null].includes(Object.getPrototypeOf(value));
  if (!isPlain && (value as { lg_name?: unknown }).lg_name !== OVERWRITE)
    throw new Error(
      `state.${path} is a ${value.constructor?.name ?? "object"}, which JSON cannot carry`,
    );
  const parts = isPlain ? value : (value as unknown as Message).toJSON();
  return changed(parts as object, path) ?? (parts as Json);
}

/** A copy with its parts as JSON; null when each part is JSON already. */
function changed(whole: object, path: string): Json | null {
  let copy: Record<string, Json> | null = null;
  for (const [key, part] of Object.entries(whole)) {
    const json = asJson(part, `${path}.${key}`);
    if (json === part) continue;
    copy ??= (Array.isArray(whole) ? [...whole] : { ...whole }) as Record<string, Json>;
    copy[key] = json;
  }
  return copy;
}

/** A value with the messages that stand in it by themselves or in a list. */
export function fromJson(value: Json, classes: MessageClasses): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value))
    return value.some(isWritten) ? value.map((one) => fromJson(one, classes)) : value;
  return isWritten(value) ? read(value, classes) : value;
}

function isWritten(value: Json | undefined): value is Written {
  if (typeof value !== "object" || value === null) return false;
  const { lc, type, id } = value as JsonObject;
  return lc === 1 && type === "constructor" && Array.isArray(id) && id.at(-2) === "messages";
}

function read({ id, kwargs }: Written, classes: MessageClasses): unknown {
  const name = id.at(-1) ?? "";
  const Class = name.endsWith("Message") || name.endsWith("Chunk") ? Reflect.get(classes, name) : 0;
  if (typeof Class !== "function") throw new Error(`the state holds a message of the kind ${name}`);
  return Reflect.construct(Class, [kwargs]);
}

function isMessage(value: unknown): value is Message {
  if (typeof value !== "object" || value === null) return false;
  const { lc_namespace: namespace, lc_kwargs: fields } = value as Record<string, unknown>;
  return Array.isArray(namespace) && namespace.at(-1) === "messages" && fields !== undefined;
}

/** The ids of the messages in some values, also of those that an update gives as plain objects. */
export function idsIn(values: Iterable<unknown>): Set<string | undefined> {
  const ids = new Set<string | undefined>();
  for (const value of values)
    for (const one of Array.isArray(value) ? value : [value])
      if (isMessage(one) || hasId(one)) ids.add(one.id ?? undefined);
  return ids;
}

function hasId(value: unknown): value is { readonly id: string } {
  return (
    typeof value === "object" && value !== null && "id" in value && typeof value.id === "string"
  );
}

/**
 * Replaces ids that a reducer has just drawn at random, so that the same task gets the same ids
 * again. An id follows from the messages before it and from `place`, which tells apart lists that
 * hold the same. `known` has the ids that stood there before.
 */
export function settleIds(
  value: unknown,
  known: ReadonlySet<unknown>,
  seed: number,
  place: string,
): void {
  if (!Array.isArray(value) || !value.some(isMessage)) return;
  let above = "";
  for (const message of value.filter(isMessage)) {
    if (message.id != null && !known.has(message.id)) {
      const { id: _, ...said } = message.lc_kwargs;
      message.id = idOf(seed, place, above, JSON.stringify(said));
      message.lc_kwargs["id"] = message.id;
    }
    above += `${message.id}\n`;
  }
}

function idOf(seed: number, ...parts: readonly string[]): string {
  const digits = ["a", "b"].map((salt) => deriveSeed(seed, "message", ...parts, salt));
  return digits.map((half) => half.toString(16).padStart(14, "0")).join("");
}
