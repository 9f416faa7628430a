// Everything wrong is taken out of a table, so that the checks that follow the schema can look at
// the rest in the same round. A misspelt word is replaced by the word that
// was probably meant, a wrong value by nothing, and a missing one by something harmless. The result
// is for checking alone and is never run.

import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";
import { joinKey, matchesKey, splitKey } from "./key-path.ts";

/** Stand-ins for required values that are wrong or missing, by key. */
const STAND_INS: readonly (readonly [key: string, value: Json])[] = [
  ["name", "unsound"],
  ["dataset", { path: "-" }],
  ["dataset.path", "-"],
  ["models.*", { kind: "simulated" }],
  ["models.*.base_url", "http://unsound.invalid/v1"],
  ["models.*.model", "unsound"],
  ["sandboxes.*", {}],
  ["roles", { unsound: { agent: "llm" } }],
  ["roles.*", { agent: "llm" }],
  ["roles.*.agent", "llm"],
  ["orchestrator", { module: "-" }],
];

/** The parts of a mended table that are as the user wrote them. */
export class Soundness {
  readonly #unsound: ReadonlySet<string>;
  readonly #renamed: ReadonlyMap<string, string>;

  /** `unsound`: keys whose values were taken out. `renamed`: written keys by meant ones. */
  constructor(
    unsound: Iterable<string> = [],
    renamed: ReadonlyMap<string, string> = new Map<string, string>(),
  ) {
    this.#unsound = new Set(unsound);
    this.#renamed = renamed;
  }

  /** True when neither this key nor a table around it was taken out. */
  isSound(key: string): boolean {
    const parts = splitKey(key);
    return !parts.some((_, index) => this.#unsound.has(keyOf(parts.slice(0, index + 1))));
  }

  /** True when nothing was taken out of the table at this key, apart from tables inside of it. */
  isWhole(key: string): boolean {
    const length = splitKey(key).length + 1;
    const isChild = (other: string) =>
      splitKey(other).length === length && keyOf(splitKey(other).slice(0, -1)) === key;
    return this.isSound(key) && ![...this.#unsound].some(isChild);
  }

  /** The same with further unsound keys. */
  without(keys: Iterable<string>): Soundness {
    return new Soundness([...this.#unsound, ...keys], this.#renamed);
  }

  /** The key under which the user wrote what the mended table has at `key`. */
  writtenAs(key: string): string {
    let parts = splitKey(key);
    for (let length = parts.length; length > 0; length--) {
      const written = this.#renamed.get(keyOf(parts.slice(0, length)));
      if (written === undefined) continue;
      parts = [...splitKey(written), ...parts.slice(length)];
      length = splitKey(written).length;
    }
    return keyOf(parts);
  }
}

export class Mending {
  #table: JsonObject;
  /** The number of times that the value at a key was taken out. */
  readonly #taken = new Map<string, number>();
  readonly #renamed = new Map<string, string>();
  /** Keys that were taken out since the table was last checked. */
  #round = new Set<string>();

  constructor(table: JsonObject) {
    this.#table = table;
  }

  /** The table was checked: what is taken out from here on is wrong in its present form. */
  beginRound(): void {
    this.#round = new Set();
  }

  get table(): JsonObject {
    return this.#table;
  }

  get soundness(): Soundness {
    return new Soundness(this.#taken.keys(), this.#renamed);
  }

  /**
   * Gives the value of an unknown key to the key that was meant, unless that one is set, too.
   * `settle` makes of it what the loader makes of values of that key.
   */
  rename(
    path: readonly string[],
    meant: string | undefined,
    settle: (value: Json, key: string) => Json = (value) => value,
  ): void {
    const value = valueIn(this.#table, path);
    const inside = path.slice(0, -1);
    this.#table = changed(this.#table, path, undefined) as JsonObject;
    if (meant === undefined) return;
    const target = [...inside, meant];
    if (valueIn(this.#table, target) !== undefined) {
      // It is not known which of the two counts.
      this.#taken.set(keyOf(target), 0);
      return;
    }
    const settled = settle(value as Json, keyOf(target));
    this.#table = changed(this.#table, target, settled) as JsonObject;
    this.#renamed.set(keyOf(target), keyOf(path));
  }

  /** Puts the word that was meant in the place of a wrong one, or else takes the value out. */
  replace(path: readonly string[], meant: string | undefined): void {
    if (meant === undefined) this.takeOut(path);
    else this.#table = changed(this.#table, path, meant) as JsonObject;
  }

  /**
   * Takes out the value at a path. A value that is required, or that was taken out before, takes
   * the table around it along.
   */
  takeOut(path: readonly string[]): void {
    if (path.length === 0) throw new Error("bug: a table without anything wrong was refused");
    const target = path.slice(0, lengthOutsideLists(this.#table, path));
    const key = keyOf(target);
    // A value may have several faults, and a list several wrong elements.
    if (this.#round.has(key)) return;
    this.#round.add(key);
    const times = this.#taken.get(key) ?? 0;
    this.#taken.set(key, times + 1);
    const standIn = STAND_INS.find(([pattern]) => matchesKey(key, pattern))?.[1];
    const isThere = valueIn(this.#table, target) !== undefined;
    if (standIn !== undefined && times === 0)
      this.#table = changed(this.#table, target, standIn) as JsonObject;
    else if (isThere) this.#table = changed(this.#table, target, undefined) as JsonObject;
    else this.takeOut(target.slice(0, -1));
  }
}

function keyOf(path: readonly string[]): string {
  return path.reduce(joinKey, "");
}

function valueIn(value: unknown, path: readonly string[]): unknown {
  return path.reduce(
    (inner: unknown, part) =>
      isJsonObject(inner) || Array.isArray(inner)
        ? (inner as Readonly<Record<string, unknown>>)[part]
        : undefined,
    value,
  );
}

/** The length of the part of a path that leads to a list, or of the whole path. */
function lengthOutsideLists(table: JsonObject, path: readonly string[]): number {
  const list = path.findIndex((_, index) => Array.isArray(valueIn(table, path.slice(0, index))));
  return list === -1 ? path.length : list;
}

/** A copy with another value at the path, or without the key when the value is undefined. */
function changed(value: unknown, [key = "", ...rest]: readonly string[], to?: Json): unknown {
  if (Array.isArray(value))
    return value.flatMap((element, index) => {
      if (String(index) !== key) return [element];
      if (rest.length > 0) return [changed(element, rest, to)];
      return to === undefined ? [] : [to];
    });
  if (!isJsonObject(value)) return value;
  const { [key]: inner, ...others } = value;
  if (rest.length > 0) return { ...value, [key]: changed(inner, rest, to) };
  return to === undefined ? others : { ...value, [key]: to };
}
