// Candidates for a word of the command line: commands, flags, and values of flags and arguments.

import type { Argument, Command, Option } from "commander";

export interface Candidate {
  readonly value: string;
  readonly text: string;
}

/** The place of the word: earlier words tell what it may be. */
export interface Place {
  /** `sandbox build`. */
  readonly command: string;
  /** Arguments before the word, without flags. */
  readonly given: readonly string[];
  /** Values of flags before the word, by long name. */
  readonly flags: ReadonlyMap<string, string>;
  readonly word: string;
}

/** Values of an argument or of a flag, which both know by name: `recipe`, `--to`. */
export type ValuesOf = (
  name: string,
  place: Place,
) => Promise<readonly Candidate[]> | readonly Candidate[];

/** The commands by name. They are made when they are looked at. */
export interface Commands {
  readonly names: readonly string[];
  make(name: string): Promise<Command>;
}

/** `words` follow the name of the program; the last one is completed. */
export async function candidates(
  words: readonly string[],
  commands: Commands,
  valuesOf: ValuesOf,
): Promise<readonly Candidate[]> {
  const word = words.at(-1) ?? "";
  const [first = "", ...rest] = words.slice(0, -1);
  if (words.length <= 1) {
    const made = await Promise.all(commands.names.map((name) => commands.make(name)));
    return startingWith(word, made.map(describe));
  }
  if (!commands.names.includes(first)) return [];
  let command = await commands.make(first);
  let path = first;
  while (command.commands.length > 0) {
    const nested = command.commands.find((one) => one.name() === rest[0]);
    if (nested === undefined)
      return rest.length > 0 ? [] : startingWith(word, command.commands.map(describe));
    path += ` ${nested.name()}`;
    command = nested;
    rest.shift();
  }
  return startingWith(word, await ofCommand(command, path, rest, word, valuesOf));
}

async function ofCommand(
  command: Command,
  path: string,
  earlier: readonly string[],
  word: string,
  valuesOf: ValuesOf,
): Promise<readonly Candidate[]> {
  const given: string[] = [];
  const flags = new Map<string, string>();
  let open: Option | null = null;
  let onlyArguments = false;
  for (const one of earlier) {
    if (open !== null) {
      flags.set(open.long ?? "", one);
      open = null;
    } else if (onlyArguments || !one.startsWith("-")) given.push(one);
    else if (one === "--") onlyArguments = true;
    else open = openedBy(command, one, flags);
  }
  const place = { command: path, given, flags, word };
  if (open !== null) return ofOption(open, place, valuesOf);
  if (!onlyArguments && word.startsWith("-")) {
    const equals = word.indexOf("=");
    if (equals === -1) return command.options.filter(isShown(flags)).map(describeOption);
    const option = command.options.find(({ long }) => long === word.slice(0, equals));
    if (option === undefined) return [];
    const inner = { ...place, word: word.slice(equals + 1) };
    const values = await ofOption(option, inner, valuesOf);
    return values.map(({ value, text }) => ({ value: `${option.long}=${value}`, text }));
  }
  const argument = argumentAt(command, given.length);
  return argument === undefined ? [] : ofArgument(argument, place, valuesOf);
}

/** The option whose value comes next; null for a flag, or with the value behind =. */
function openedBy(command: Command, word: string, flags: Map<string, string>): Option | null {
  const [name = "", ...value] = word.split("=");
  const option = command.options.find(({ long, short }) => name === long || name === short);
  if (option === undefined) return null;
  const takesValue = option.required || option.optional;
  if (takesValue && value.length === 0) return option;
  flags.set(option.long ?? "", value.join("="));
  return null;
}

function isShown(flags: ReadonlyMap<string, string>): (option: Option) => boolean {
  return ({ hidden, long, variadic }) => !hidden && (variadic || !flags.has(long ?? ""));
}

function argumentAt(command: Command, index: number): Argument | undefined {
  const all = command.registeredArguments;
  const last = all.at(-1);
  return all[index] ?? (last?.variadic === true ? last : undefined);
}

function ofOption(option: Option, place: Place, valuesOf: ValuesOf): ReturnType<ValuesOf> {
  return option.argChoices === undefined
    ? valuesOf(option.long ?? "", place)
    : option.argChoices.map((value) => ({ value, text: "" }));
}

function ofArgument(argument: Argument, place: Place, valuesOf: ValuesOf): ReturnType<ValuesOf> {
  return argument.argChoices === undefined
    ? valuesOf(argument.name(), place)
    : argument.argChoices.map((value) => ({ value, text: "" }));
}

function describe(command: Command): Candidate {
  return { value: command.name(), text: firstLine(command.description()) };
}

function describeOption({ long, short, description }: Option): Candidate {
  return { value: long ?? short ?? "", text: firstLine(description) };
}

const TEXT_MAX = 90;

/** A description that fits beside the candidate. */
export function firstLine(text: string): string {
  const line = text.split("\n")[0] ?? "";
  return line.length > TEXT_MAX ? `${line.slice(0, TEXT_MAX - 1).trimEnd()}…` : line;
}

function startingWith(word: string, found: readonly Candidate[]): readonly Candidate[] {
  return found.filter(({ value }) => value.startsWith(word));
}
