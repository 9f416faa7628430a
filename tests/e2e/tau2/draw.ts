// Random conversations of every domain and mode, with the calls of reference solutions and with
// everything odd that a model may answer. Both sides always have something to say.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { JsonObject } from "../../../src/task/json.ts";
import { ROOT } from "../../parts/repository.ts";
import { goldScripts } from "./gold.ts";
import type { Case, Reply } from "./simulate.ts";

type Side = "user" | "assistant";
type Pick = <T>(choices: readonly T[]) => T;
interface Call {
  readonly name: string;
  readonly arguments: string;
}
interface TaskRow {
  readonly domain: string;
  readonly task_id: string;
  readonly splits: readonly string[];
  readonly solo: boolean;
}

/** Domains and modes in the order in which cases are drawn. */
export const KINDS = ["mock", "airline", "retail", "telecom", "mock solo", "telecom solo"] as const;
const TURNS = 40;

const TASKS = readFileSync(join(ROOT, "recipes/tau2/tasks.jsonl"), "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line) as TaskRow)
  .filter(({ domain, splits }) => domain === "mock" || splits.includes("base"));

/** The case number `index` of a seed's random numbers. */
export function drawCase(random: () => number, index: number): Case {
  const pick: Pick = (choices) => choices[Math.floor(random() * choices.length)] as never;
  const kind = KINDS[index % KINDS.length] as string;
  const [domain = "", mode] = kind.split(" ");
  const solo = mode === "solo";
  const task = pick(TASKS.filter((one) => one.domain === domain && (!solo || one.solo)));
  const speaker = new Speaker(random, pick, task, solo);
  const talk = (side: Side) => Array.from({ length: TURNS }, () => speaker.say(side));
  return {
    domain,
    task_id: task.task_id,
    solo,
    max_steps: 1 + Math.floor(random() * (domain === "mock" ? 20 : 40)),
    max_errors: 1 + Math.floor(random() * 6),
    replies: { assistant: talk("assistant"), "user-simulator": talk("user") },
  };
}

class Speaker {
  readonly #random: () => number;
  readonly #pick: Pick;
  readonly #solo: boolean;
  /** Calls of the task's reference solution, and of another one of its domain. */
  readonly #calls: Readonly<Record<Side, readonly Call[]>>;
  #ids = 0;

  constructor(random: () => number, pick: Pick, { domain, task_id: id }: TaskRow, solo: boolean) {
    this.#random = random;
    this.#pick = pick;
    this.#solo = solo;
    const others = goldScripts.filter((one) => one.id.startsWith(`${domain}/`));
    const used = [goldScripts.find((one) => one.id === `${domain}/${id}`), pick(others)];
    const callsOf = (side: "assistant" | "user-simulator") =>
      used.flatMap((script) =>
        (script?.replies[side] ?? []).flatMap((reply) =>
          typeof reply === "string" ? [] : reply.tool_calls.map(({ function: call }) => call),
        ),
      );
    const [assistant, user] = [callsOf("assistant"), callsOf("user-simulator")];
    this.#calls = solo ? { assistant: [...assistant, ...user], user } : { assistant, user };
  }

  say(side: Side): Reply {
    const content = this.#is(0.2) ? this.#pick(BESIDE_CALLS) : null;
    if (this.#is(0.015)) return this.#pick(NOTHING);
    if (this.#solo && this.#is(0.01)) return this.#pick(["I will not.", "###STOP###", " "]);
    const usual = side === "user" ? USER_KINDS : AGENT_KINDS;
    switch (this.#pick(this.#solo ? SOLO_KINDS : usual)) {
      case "text":
        return this.#pick(TEXTS);
      case "stop":
        return this.#pick(["###STOP###", "###TRANSFER###", "Bye ###STOP###", "###OUT-OF-SCOPE###"]);
      case "done":
        return this.#message([{ name: "done", arguments: "{}" }], content);
      case "calls":
        return this.#message(this.#some(side, 1 + Math.floor(this.#random() * 4)), content);
      default:
        return this.#message(this.#some(side, 1), content);
    }
  }

  #some(side: Side, count: number): readonly Call[] {
    return Array.from({ length: count }, () => {
      if (this.#is(0.01)) return { name: "get_users", arguments: this.#pick(NO_OBJECTS) };
      const known = this.#calls[this.#is(0.03) ? "user" : side];
      if (known.length > 0 && this.#is(0.8)) return this.#changed(this.#pick(known));
      return { name: this.#pick(NAMES), arguments: this.#pick(OBJECTS) };
    });
  }

  /** The call itself, or one with another name, another value or more arguments. */
  #changed({ name, arguments: text }: Call): Call {
    if (this.#is(0.8)) return { name, arguments: text };
    if (this.#is(0.3)) return { name: this.#pick(NAMES), arguments: text };
    const value = this.#pick(VALUES);
    if (this.#is(0.3) || text === "{}")
      return {
        name,
        arguments: text.replace(/\}$/, `${text === "{}" ? "" : ", "}"more": ${value}}`),
      };
    return { name, arguments: text.replace(/: ("[^"]*"|[\d.]+|true|false)/, `: ${value}`) };
  }

  #message(calls: readonly Call[], content: string | null): JsonObject {
    const tool_calls = calls.map((call) => ({
      id: this.#is(0.03) ? "" : `call_${this.#is(0.1) ? 0 : this.#ids++}`,
      type: "function",
      function: { ...call },
    }));
    return { content, tool_calls };
  }

  #is(probability: number): boolean {
    return this.#random() < probability;
  }
}

const USER_KINDS = ["text", "text", "text", "text", "call", "calls", "stop"];
const AGENT_KINDS = ["text", "text", "call", "call", "call", "calls", "calls", "stop"];
const SOLO_KINDS = ["call", "call", "call", "call", "calls", "calls", "done"];
const TEXTS = ["Yes.", "Why?", "Please do it.", "ü 漢 🎲", "\ufeff", " x ", "null", "STOP"];
const BESIDE_CALLS = ["I am on it.", "###STOP###", "", " ", "\x85"];
/** Python takes all of these for nothing. */
const NOTHING = ["", " \n", "\x85\x1c", "\u2003\u3000"];
const NAMES = ["", " ", "fly", "get_user_details", "calculate", "think", "done", "ü\n", "__init__"];
const NO_OBJECTS = [
  "",
  "[1]",
  "null",
  "NaN",
  '"x"',
  "{user: 1",
  "{'a': 1}",
  '{"a": 1,}',
  '{"a": -NaN}',
];
const DIGITS = "9".repeat(4300);
/** Values that Python reads, though JSON lacks some of them. */
const VALUES = [
  ...[
    "NaN",
    "Infinity",
    "-Infinity",
    "1e400",
    "-0.0",
    "1.0",
    "1",
    "null",
    "true",
    '""',
    "[]",
    "{}",
  ],
  ...['"NaN"', '"\\ud83c\\udfb2"', '"\\u0000"', "9007199254740993", DIGITS, '[{"a": [NaN]}]'],
];
const OBJECTS = [
  ...["{}", "{}", " { } ", '{"requestor": "user"}', '{"tool_name": "x"}', '{"a": 1, "a": 2}'],
  ...['{"self": 1}', '{"": 1}', '{"user_id": "mia_li_3668"}', '{"expression": "1 + 1"}'],
  ...['{"expression": "NaN"}', `{"expression": ${DIGITS}}`, `{"expression": ${DIGITS}9}`],
  ...['{"thought": "\\ud800"}', '{"summary": "x"}'],
];
