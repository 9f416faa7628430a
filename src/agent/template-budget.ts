// One rendering of a template may take a bounded number of steps, and make texts and lists of a
// bounded size. A prompt that is larger fits no model, and a loop over a million rows ends the
// process long before it ends by itself.

/** Most nodes of the template that one rendering visits. */
const STEPS_MAX = 5_000_000;
/** Most characters of one text, and of all texts of one rendering together. */
const CHARS_MAX = 64 * 2 ** 20;
const CHARS_SUM_MAX = 8 * CHARS_MAX;
/** Most items of the lists that a template puts together. */
const ITEMS_SUM_MAX = 10_000_000;
/** Most items of `range`, as in the sandbox of Jinja. */
export const RANGE_MAX = 100_000;
/** Most columns of an indentation. */
const INDENT_MAX = 1000;

/** A part of a template's syntax tree. */
type Part = object;

/**
 * Parts with which a filter or a method makes a small text large. They are looked at when the last
 * of them was evaluated.
 */
type Amplifier =
  | { readonly by: "indent"; readonly width: Part }
  | { readonly by: "separator"; readonly list: Part; readonly separator: Part }
  | { readonly by: "replacement"; readonly text: Part; readonly old: Part; readonly new: Part }
  | { readonly by: "loop"; readonly list: Part };

/** A value of the library. */
interface Value {
  readonly type: string;
  readonly value: unknown;
}

export class TemplateBudget {
  readonly #amplifiers: ReadonlyMap<Part, Amplifier>;
  /** The last values of the parts that amplifiers refer to. */
  readonly #known = new Map<Part, Value>();
  readonly #operands: ReadonlySet<Part>;
  #steps = 0;
  #chars = 0;
  #items = 0;

  constructor({ amplifiers, operands }: Found) {
    this.#amplifiers = amplifiers;
    this.#operands = operands;
  }

  /** Notes that a part was evaluated. Fails when the template does too much. */
  spend(part: Part & { readonly type: string }, value: Value): void {
    if (++this.#steps > STEPS_MAX) throw new Error(`it takes more than ${STEPS_MAX} steps`);
    if (value.type === "StringValue") this.#write((value.value as string).length);
    if (value.type === "ArrayValue" && part.type === "BinaryExpression") {
      this.#items += (value.value as readonly unknown[]).length;
      if (this.#items > ITEMS_SUM_MAX)
        throw new Error(`it makes lists of more than ${ITEMS_SUM_MAX} items`);
    }
    if (this.#operands.has(part)) this.#known.set(part, value);
    const amplifier = this.#amplifiers.get(part);
    if (amplifier !== undefined) this.#amplify(amplifier);
  }

  #of(part: Part): unknown {
    return this.#known.get(part)?.value;
  }

  #write(chars: number): void {
    requireFits(chars);
    this.#chars += chars;
    if (this.#chars > CHARS_SUM_MAX)
      throw new Error(`it writes more than ${CHARS_SUM_MAX} characters`);
  }

  #amplify(amplifier: Amplifier): void {
    if (amplifier.by === "indent") {
      const width = this.#of(amplifier.width);
      if (typeof width === "number" && width > INDENT_MAX)
        throw new Error(`it indents by more than ${INDENT_MAX} columns`);
    } else if (amplifier.by === "replacement") {
      const [text, old, by] = [amplifier.text, amplifier.old, amplifier.new].map((part) =>
        String(this.#of(part) ?? ""),
      ) as [string, string, string];
      const found = old === "" ? text.length + 1 : text.split(old).length - 1;
      requireFits(text.length + found * by.length);
    } else {
      const list = this.#of(amplifier.list);
      if (!Array.isArray(list)) return;
      // A turn of an empty loop visits no node.
      if (amplifier.by === "loop") this.#steps += list.length;
      else requireFits(joinedChars(list as readonly Value[], this.#of(amplifier.separator)));
    }
  }
}

function joinedChars(list: readonly Value[], separator: unknown): number {
  const between = String(separator ?? "").length * list.length;
  return list.reduce(
    (sum, { value }) => sum + (typeof value === "string" ? value.length : 1),
    between,
  );
}

function requireFits(chars: number): void {
  if (chars > CHARS_MAX) throw new Error(`it makes a text of more than ${CHARS_MAX} characters`);
}

interface Found {
  /** By the part that is evaluated last. */
  readonly amplifiers: Map<Part, Amplifier>;
  /** The parts that amplifiers refer to. */
  readonly operands: Set<Part>;
}

type Node = Part & {
  readonly type: string;
  readonly value?: unknown;
  readonly operand: Part;
  readonly filter: Node;
  readonly callee: Node;
  readonly object?: Part;
  readonly property?: Node;
  readonly args: readonly Node[];
  readonly iterable: Part;
};

/** The amplifiers of a template. */
export function amplifiersIn(
  part: unknown,
  found: Found = { amplifiers: new Map(), operands: new Set() },
): Found {
  if (typeof part !== "object" || part === null) return found;
  const node = part as Node;
  const { type, filter, callee } = node;
  if (type === "For") note({ by: "loop", list: node.iterable }, node.iterable, found);
  // A filter reads its operand first, and a method its arguments.
  if (type === "FilterExpression" && filter.type === "CallExpression")
    noteCall(filter.callee.value, node.operand, filter.args, null, found);
  if (type === "CallExpression" && callee.object !== undefined)
    noteCall(callee.property?.value, callee.object, node.args, callee.object, found);
  for (const child of Object.values(node)) amplifiersIn(child, found);
  return found;
}

/** `last`: the part that is evaluated last; null for the last argument. */
function noteCall(
  name: unknown,
  text: Part,
  args: readonly Node[],
  last: Part | null,
  found: Found,
): void {
  const given = args.map((arg) =>
    arg.type === "KeywordArgumentExpression" ? (arg.value as Part) : arg,
  );
  const [first, second] = given;
  if (name === "indent" || name === "tojson")
    for (const width of given) note({ by: "indent", width }, width, found);
  if (name === "join" && first !== undefined)
    note({ by: "separator", list: text, separator: first }, last ?? first, found);
  if (name === "replace" && first !== undefined && second !== undefined)
    note({ by: "replacement", text, old: first, new: second }, last ?? second, found);
}

function note(amplifier: Amplifier, last: Part, { amplifiers, operands }: Found): void {
  amplifiers.set(last, amplifier);
  for (const part of Object.values(amplifier)) if (typeof part === "object") operands.add(part);
}
