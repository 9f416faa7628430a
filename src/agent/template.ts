// Jinja templates for prompts and simulated replies. They are strict: printing a variable or key
// that does not exist is an error, because a prompt with a hole in it is worse than none. `{{ x |
// default("") }}` permits a hole.

import { Environment, Interpreter, Template } from "@huggingface/jinja";
import { MatrixError, messageOf } from "../error.ts";
import { ExactNumber } from "../task/exact.ts";
import { amplifiersIn, RANGE_MAX, TemplateBudget } from "./template-budget.ts";

export type CompiledTemplate = (variables: Readonly<Record<string, unknown>>) => string;

/** Names that a message lists at most. */
const NAMES_SHOWN = 10;

type Node = Template["parsed"]["body"][number];

/**
 * Fails with `recipe_invalid` for a syntax error. The compiled function fails with `prompt_failed`.
 * `name` identifies the template in messages.
 */
export function compileTemplate(source: string, name: string): CompiledTemplate {
  const parsed = parse(source, name);
  const outputs = new Map<Node, string>();
  collectOutputs(parsed, outputs);
  const names = identifiersIn(parsed);
  const amplifiers = amplifiersIn(parsed);
  return (variables) => {
    try {
      const undefinedAt = (source: string) =>
        new Error(`\`${source}\` is undefined${thereIs(source, variables)}`);
      const environment = environmentOf(variables, names);
      return new StrictInterpreter(
        outputs,
        undefinedAt,
        new TemplateBudget(amplifiers),
        environment,
      ).run(parsed).value as string;
    } catch (cause) {
      throw new MatrixError("prompt_failed", `template ${name}: ${messageOf(cause)}`, { cause });
    }
  };
}

/** The library's interpreter prints undefined as nothing; this one fails instead. */
class StrictInterpreter extends Interpreter {
  readonly #outputs: ReadonlyMap<Node, string>;
  readonly #undefinedAt: (source: string) => Error;
  readonly #budget: TemplateBudget;

  constructor(
    outputs: ReadonlyMap<Node, string>,
    undefinedAt: (source: string) => Error,
    budget: TemplateBudget,
    environment: Environment,
  ) {
    super(environment);
    this.#outputs = outputs;
    this.#undefinedAt = undefinedAt;
    this.#budget = budget;
  }

  override evaluate(
    ...[node, environment]: Parameters<Interpreter["evaluate"]>
  ): ReturnType<Interpreter["evaluate"]> {
    const value = super.evaluate(node, environment);
    if (node !== undefined) this.#budget.spend(node, value);
    if (value.type !== "UndefinedValue" || node === undefined) return value;
    const source = this.#outputs.get(node);
    if (source !== undefined) throw this.#undefinedAt(source);
    return value;
  }
}

/** The names that `x` or `row.x` could have had; "" for any other expression. */
function thereIs(source: string, variables: Readonly<Record<string, unknown>>): string {
  if (/^\w+$/.test(source)) return `; there is ${listed(Object.keys(variables))}`;
  const [, root = ""] = /^(\w+)\.\w+$/.exec(source) ?? [];
  const value = variables[root];
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "";
  return `; ${root} has ${listed(Object.keys(value))}`;
}

function listed(names: readonly string[]): string {
  if (names.length === 0) return "nothing";
  const more = names.length > NAMES_SHOWN ? ", …" : "";
  return `${names.slice(0, NAMES_SHOWN).join(", ")}${more}`;
}

function parse(source: string, name: string): Template["parsed"] {
  try {
    return new Template(source).parsed;
  } catch (cause) {
    throw new MatrixError("recipe_invalid", `template ${name}: ${messageOf(cause)}`, { cause });
  }
}

/**
 * A fresh scope with Jinja's globals and the variables that the template names. The others are left
 * out, because the library makes a deep copy of each.
 */
function environmentOf(
  variables: Readonly<Record<string, unknown>>,
  names: ReadonlySet<string>,
): Environment {
  const environment = new Environment();
  for (const [name, value] of Object.entries({ ...GLOBALS, ...variables }))
    if (names.has(name)) environment.setVariable(name, runtimeValue(value));
  return environment;
}

type RuntimeValue = ReturnType<Environment["set"]>;

const scratch = new Environment();

/** The library's own conversion. */
function converted(input: unknown): RuntimeValue {
  const value = scratch.set("", input);
  scratch.variables.delete("");
  return value;
}

/** The class of a value, which the library does not export. */
function classOf<T>(example: unknown): new (value: T) => RuntimeValue {
  return converted(example).constructor as new (
    value: T,
  ) => RuntimeValue;
}

const IntegerValue = classOf<bigint>(1);
const FloatValue = classOf<ExactNumber>(0.5);
const ListValue = classOf<readonly RuntimeValue[]>([]);
const ObjectValue = classOf<ReadonlyMap<string, RuntimeValue>>({});

/**
 * A value as the library's interpreter has it. The library's conversion refuses the numbers that a
 * double cannot hold. Here they are numbers that print as their digits.
 */
function runtimeValue(input: unknown): RuntimeValue {
  if (typeof input === "bigint") return new IntegerValue(input);
  if (typeof input !== "object" || input === null) return converted(input);
  if (input instanceof ExactNumber) return new FloatValue(input);
  if (Array.isArray(input)) return new ListValue(input.map(runtimeValue));
  return new ObjectValue(
    new Map(Object.entries(input).map(([key, value]) => [key, runtimeValue(value)])),
  );
}

/** Every name that occurs in a template, in whatever meaning. */
function identifiersIn(node: unknown, names = new Set<string>()): Set<string> {
  if (typeof node !== "object" || node === null) return names;
  const { type, value } = node as Record<string, unknown>;
  if (type === "Identifier") names.add(String(value));
  for (const child of Object.values(node)) identifiersIn(child, names);
  return names;
}

const GLOBALS = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  range,
};

function range(first: number, second?: number, step = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (length > RANGE_MAX) throw new Error(`range() gives at most ${RANGE_MAX} numbers`);
  return Array.from({ length }, (_, i) => start + i * step);
}

/** Collects every expression that is printed, `{{ … }}`, with its source for messages. */
function collectOutputs(node: unknown, outputs: Map<Node, string>): void {
  if (typeof node !== "object" || node === null) return;
  for (const [key, value] of Object.entries(node)) {
    if (!Array.isArray(value)) {
      collectOutputs(value, outputs);
      continue;
    }
    for (const child of value) {
      if (key === "body" || key === "alternate" || key === "defaultBlock")
        noteOutput(child, outputs);
      collectOutputs(child, outputs);
    }
  }
}

function noteOutput(node: Node, outputs: Map<Node, string>): void {
  if (node.type === "Identifier" || node.type === "MemberExpression")
    outputs.set(node, sourceOf(node));
}

/** Source such as `row.question`, rebuilt from the syntax tree. */
function sourceOf(node: unknown): string {
  const { type, value, object, property, computed } = node as Record<string, unknown>;
  if (type === "MemberExpression")
    return computed === true
      ? `${sourceOf(object)}[${sourceOf(property)}]`
      : `${sourceOf(object)}.${sourceOf(property)}`;
  return type === "StringLiteral" ? JSON.stringify(value) : String(value);
}
