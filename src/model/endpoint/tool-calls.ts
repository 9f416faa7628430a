// Tool calls of an answer. Arguments are text, as the model wrote them. Some endpoints send them as
// an object, or leave them out for a tool that takes none. Streamed calls come in pieces, and
// endpoints number and name the pieces in different ways.

import { MatrixError } from "../../error.ts";
import { isJsonObject, type Json, type JsonObject } from "../../task/json.ts";
import { grow } from "./growth.ts";

/** A tool call with an index of this or more is not a valid answer. */
const CALLS_MAX = 1024;
const NO_ARGUMENTS = "{}";

/**
 * Calls of a message. A call without an id gets `call_N`. Fails with `model_bad_answer`; with
 * `takesMalformed`, a name may be empty, and blank arguments stay as they are.
 */
export function callsFrom(calls: Json | undefined, takesMalformed = false): JsonObject[] {
  return (Array.isArray(calls) ? (calls as readonly Json[]) : []).map((call, at) => {
    const called = isJsonObject(call) ? call["function"] : undefined;
    const given = isJsonObject(called) ? argumentsFrom(called["arguments"]) : null;
    const isNamed = isJsonObject(called) && (isText(called["name"]) || takesMalformed);
    if (!isJsonObject(call) || !isJsonObject(called) || !isNamed || given === null)
      throw badCall(`its tool call ${at} has no name, or its arguments are not a table`);
    const { index: _, ...kept } = call;
    return {
      ...kept,
      id: isText(call["id"]) ? call["id"] : `call_${at}`,
      type: "function",
      function: {
        ...called,
        name: isText(called["name"]) ? called["name"] : "",
        arguments: given.trim() === "" && !takesMalformed ? NO_ARGUMENTS : given,
      },
    };
  });
}

/** The text of arguments, or of a piece of them; null for a value that stands for none. */
function argumentsFrom(value: Json | undefined): string | null {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return value;
  return typeof value === "object" ? JSON.stringify(value) : null;
}

type Call = { id: string; function: { name: string; arguments: string } } & Record<string, Json>;

/** Streamed calls, put together in the order in which they began. */
export class CallAssembly {
  readonly #calls: Call[] = [];
  readonly #byIndex = new Map<number, Call>();

  /** Calls that were never named are left out. */
  get calls(): readonly JsonObject[] {
    return this.#calls.filter(({ function: { name } }) => name !== "");
  }

  /**
   * Adds a piece of a call. Id and name come once, or again with every piece of the arguments.
   */
  add({ index, id: givenId, type: _, function: given, ...rest }: JsonObject): void {
    const called = isJsonObject(given) ? given : {};
    const id = isText(givenId) ? givenId : "";
    const name = isText(called["name"]) ? called["name"] : "";
    const place = typeof index === "number" ? index : null;
    const before = place === null ? this.#known(id) : this.#byIndex.get(place);
    const call =
      before === undefined || begins(before, id, name, called["arguments"])
        ? this.#begin(place)
        : before;
    call.id ||= id;
    call.function.name ||= name;
    call.function.arguments += argumentsFrom(called["arguments"]) ?? "";
    grow(call, rest);
  }

  /** The call that an unnumbered piece may belong to: the one with its id, or the last one. */
  #known(id: string): Call | undefined {
    return this.#calls.find((call) => id !== "" && call.id === id) ?? this.#calls.at(-1);
  }

  #begin(index: number | null): Call {
    const isValid = index === null || (Number.isInteger(index) && index >= 0 && index < CALLS_MAX);
    if (!isValid || this.#calls.length === CALLS_MAX)
      throw badCall(`it has a tool call of index ${index ?? CALLS_MAX}`);
    const call: Call = { id: "", type: "function", function: { name: "", arguments: "" } };
    this.#calls.push(call);
    if (index !== null) this.#byIndex.set(index, call);
    return call;
  }
}

/**
 * Tells whether a piece begins a call of its own, although it has the place of another one: some
 * endpoints give all parallel calls the index 0, or no index at all. Only a piece with a name can
 * begin a call, because some endpoints send a new id with every piece. Without ids to compare,
 * another name begins a call, and so does anything that follows whole arguments.
 */
function begins(before: Call, id: string, name: string, given: Json | undefined): boolean {
  if (name === "" || before.function.name === "") return false;
  if (id !== "" && before.id !== "") return id !== before.id;
  return name !== before.function.name || isJsonObject(given) || isTable(before.function.arguments);
}

function isTable(text: string): boolean {
  if (!text.trimEnd().endsWith("}")) return false;
  try {
    return isJsonObject(JSON.parse(text));
  } catch {
    return false;
  }
}

function isText(value: Json | undefined): value is string {
  return typeof value === "string" && value !== "";
}

function badCall(what: string): MatrixError {
  return new MatrixError("model_bad_answer", `the answer is not a chat completion: ${what}`);
}
