// The loops of an expression take a bounded number of turns, and its texts and lists have a bounded
// size. Regular expressions take time with the text alone. The bounds are counts and no times, so
// that an expression gives the same result on every host and in every replay.

import { messageOf } from "../../error.ts";
import { matchesPattern } from "../../task/linear-pattern.ts";

/** Most turns of the loops of one evaluation (`map`, `filter`, `all`, `exists`). */
const TURNS_MAX = 1_000_000;
/** Most characters of a text, and most items of a list, that an expression makes. */
const CHARS_MAX = 64 * 2 ** 20;
const ITEMS_MAX = 10_000_000;
const DURATION_CHARS_MAX = 100;

/**
 * Functions of the library that do not end, or not in this memory, for some texts. Calls of them go
 * to functions of another name, because the library does not let its own be replaced.
 */
const BOUNDED: ReadonlyMap<string, string> = new Map([
  ["matches", "matchesLinearly"],
  ["join", "joinBounded"],
]);

/** The part of the library that this file needs. */
export interface Environment {
  // biome-ignore lint/suspicious/noExplicitAny: the signature tells the types of the values
  registerFunction(signature: string, handler: (...values: any[]) => unknown): unknown;
  parse(source: string): { readonly ast: unknown };
}

/** The turns that one evaluation has taken so far. */
export interface Budget {
  turns: number;
}

export function addBounds(environment: Environment): void {
  environment.registerFunction("string.matchesLinearly(string): bool", matchesLinearly);
  environment.registerFunction("list.joinBounded(): string", joinBounded);
  environment.registerFunction("list.joinBounded(string): string", joinBounded);
  environment.registerFunction("shortText(string): string", shortText);
}

/** The message of an error with the names that CEL has. */
export function inPlainNames(message: string): string {
  let plain = message;
  for (const [known, own] of BOUNDED) plain = plain.replaceAll(own, known);
  return plain;
}

/** A loop of the library: it asks `condition` before each turn, and gives `result` at its end. */
interface Loop {
  condition?: (accumulated: unknown) => boolean;
  result: (accumulated: unknown) => unknown;
}

/** Bounds what the expression below `node` can do. */
export function bound(
  environment: Environment,
  node: unknown,
  budget: Budget,
  seen = new Set<unknown>(),
): void {
  if (typeof node !== "object" || node === null || seen.has(node)) return;
  seen.add(node);
  if (Array.isArray(node)) for (const part of node) bound(environment, part, budget, seen);
  const { op, args, meta } = node as Partial<Node>;
  if (op === undefined) return;
  if (op === "rcall") args[0] = BOUNDED.get(args[0]) ?? args[0];
  // The library reads a duration in time that grows with the third power of its length.
  if (op === "call" && args[0] === "duration") args[1] = asShortText(environment, args[1]);
  if (op === "comprehension") {
    boundLoop(args, budget);
    for (const part of Object.values(args)) bound(environment, part, budget, seen);
  }
  bound(environment, args, budget, seen);
  bound(environment, meta?.alternate, budget, seen);
}

/** A node of the library's tree. Each operation has another shape of `args`. */
interface Node {
  readonly op: string;
  // biome-ignore lint/suspicious/noExplicitAny: the types of the library leave its loops out
  readonly args: any;
  readonly meta: { readonly alternate?: unknown };
}

function boundLoop(loop: Loop, budget: Budget): void {
  const { condition, result } = loop;
  loop.condition = (accumulated) => {
    budget.turns++;
    if (budget.turns > TURNS_MAX) throw new Error(`its loops take more than ${TURNS_MAX} turns`);
    requireLast(accumulated);
    return condition?.(accumulated) ?? true;
  };
  loop.result = (accumulated) => result(requireLast(accumulated));
}

/** The value, whose latest item is no larger than a value may be. */
function requireLast<T>(accumulated: T): T {
  if (Array.isArray(accumulated)) requireSize(accumulated.at(-1));
  return accumulated;
}

/** The value, which an expression has made. Fails when it is too large. */
export function requireSize<T>(value: T): T {
  if (typeof value === "string" && value.length > CHARS_MAX)
    throw new Error(`it makes a text of more than ${CHARS_MAX} characters`);
  if (Array.isArray(value) && value.length > ITEMS_MAX)
    throw new Error(`it makes a list of more than ${ITEMS_MAX} items`);
  return value;
}

function matchesLinearly(text: string, pattern: string): boolean {
  try {
    return matchesPattern(text, pattern);
  } catch (cause) {
    throw new Error(`the regular expression ${pattern} is not valid (RE2): ${messageOf(cause)}`);
  }
}

/** The arguments `shortText(arguments)`. */
function asShortText(environment: Environment, given: unknown): unknown[] {
  const call = environment.parse("shortText(text)").ast as { args: unknown[] };
  call.args[1] = given;
  return [call];
}

function shortText(text: string): string {
  if (text.length > DURATION_CHARS_MAX)
    throw new Error(`duration() takes a text of at most ${DURATION_CHARS_MAX} characters`);
  return text;
}

function joinBounded(items: readonly unknown[], separator = ""): string {
  let chars = separator.length * Math.max(0, items.length - 1);
  for (const item of items) {
    if (typeof item !== "string") throw new Error("join() takes a list of texts");
    chars += item.length;
  }
  if (chars > CHARS_MAX) throw new Error(`it makes a text of more than ${CHARS_MAX} characters`);
  return items.join(separator);
}
