// Values that must not leave the process in any text: keys, passwords and tokens of the
// environment, of the recipe and of the run. They belong to the process as a whole, as its
// environment does, so there is one list for the process. Text is masked where it leaves (records,
// logs, errors, spans, cards, the terminal) and where the result of a step comes in, so that no
// model is told.
//
// A value is found as it is, escaped for JSON (also twice, for JSON within JSON), percent-encoded,
// and inside of base64. A value below LONG_CHARS characters may be an ordinary word: it is masked
// in logs, errors and on the terminal, where it stands alone, and never in records. One below
// SHORT_CHARS characters is not masked, and neither is a word that people write where no key is
// needed.

const LONG_CHARS = 8;
const SHORT_CHARS = 4;
const MASK = "***";

/** Keys of endpoints that want none. */
const DUMMIES: ReadonlySet<string> = new Set(
  (
    "anonymous anything changeme dummy dummy-key empty fake fake-key hidden-by-matrix-check " +
    "llama.cpp lm-studio local localhost no-key no-key-required none not-needed not-required null " +
    "ollama password placeholder secret sglang sk-dummy sk-no-key-required sk-xxx test test-key " +
    "token token-abc123 true undefined unused username vllm"
  ).split(" "),
);

interface Found {
  /** Finds any form of a secret. */
  readonly any: RegExp;
  readonly every: RegExp;
  readonly masks: ReadonlyMap<string, string>;
}

/** Masks by the text that they take the place of. */
const longForms = new Map<string, string>();
const shortForms = new Map<string, string>();
let inJson: Found | null = null;
let inProse: Found | null = null;
let aloneInProse: Found | null = null;
/** Finds any form in the bytes of UTF-8, read as Latin-1. */
let bytesInJson: RegExp | null = null;

/** Adds a secret. `name` is the variable that holds it. Returns a function that takes it back. */
export function knowSecret(value: string, name?: string): () => void {
  const mask = name === undefined ? MASK : `[${name}]`;
  const isLong = value.length >= LONG_CHARS;
  if (value.length < SHORT_CHARS || DUMMIES.has(value.toLowerCase())) return () => undefined;
  const forms = isLong ? longForms : shortForms;
  const added = (isLong ? formsOf(value) : [value]).filter((form) => !forms.has(form));
  for (const form of added) forms.set(form, mask);
  if (added.length > 0) compile();
  return () => {
    for (const form of added) forms.delete(form);
    compile();
  };
}

/** Masks secrets in text for people: logs, errors, the terminal. */
export function masked(text: string): string {
  const long = replaced(text, inProse);
  return replaced(long, aloneInProse);
}

/**
 * Masks secrets in the strings of JSON text, which stays valid JSON: what stands between strings,
 * such as a number, is left as it is. `from` is an offset outside of a string.
 */
export function maskedJson(text: string, from = 0): string {
  return inJson?.any.test(text) === true ? maskStrings(text, from, inJson) : text;
}

/** The same for UTF-8. */
export function maskedJsonBytes(bytes: Uint8Array): Uint8Array | string {
  if (bytesInJson === null) return bytes;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // One pass of one expression is faster than one pass for each form.
  return bytesInJson.test(buffer.toString("latin1")) ? maskedJson(buffer.toString("utf8")) : bytes;
}

/** Values nested deeper than this are refused elsewhere, as no JSON. */
const DEPTH_MAX = 1000;

/** Masks long secrets in every text of a value. A value without any is returned as it is. */
export function maskedValue<T>(value: T, depth = 0): T {
  if (inProse === null || depth > DEPTH_MAX) return value;
  if (typeof value === "string") return replaced(value, inProse) as T;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    const list = value.map((one) => maskedValue(one, depth + 1));
    return list.some((one, index) => one !== value[index]) ? (list as T) : value;
  }
  // Exact numbers and the like are objects, too.
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  const entries = Object.entries(value);
  const copies = entries.map(([key, inner]) => [key, maskedValue(inner, depth + 1)] as const);
  return copies.some(([, copy], index) => copy !== entries[index]?.[1])
    ? (Object.fromEntries(copies) as T)
    : value;
}

function replaced(text: string, found: Found | null): string {
  if (found === null || !found.any.test(text)) return text;
  return text.replace(found.every, (form) => found.masks.get(form) ?? MASK);
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LETTER_U = 0x75;

function maskStrings(text: string, from: number, { every, masks }: Found): string {
  const parts: string[] = [];
  let copied = 0;
  let at = from;
  let isInString = false;
  every.lastIndex = from;
  for (let match = every.exec(text); match !== null; match = every.exec(text)) {
    const [form] = match;
    while (at < match.index) {
      const unit = text.charCodeAt(at);
      // An escape is \uXXXX, or a backslash and one character.
      if (isInString && unit === BACKSLASH) at += text.charCodeAt(at + 1) === LETTER_U ? 6 : 2;
      else {
        if (unit === QUOTE) isInString = !isInString;
        at++;
      }
    }
    if (!isInString || at > match.index) {
      every.lastIndex = match.index + 1;
      continue;
    }
    parts.push(text.slice(copied, match.index), masks.get(form) ?? MASK);
    copied = match.index + form.length;
    at = copied;
    every.lastIndex = copied;
  }
  parts.push(text.slice(copied));
  return parts.join("");
}

function compile(): void {
  const safe = [...longForms].filter(([form]) => isSafeInJson(form));
  inJson = finderOf(new Map(safe));
  inProse = finderOf(longForms);
  aloneInProse = finderOf(shortForms, (pattern) => `(?<![A-Za-z0-9])(?:${pattern})(?![A-Za-z0-9])`);
  const bytes = safe.map(([form, mask]) => [Buffer.from(form).toString("latin1"), mask] as const);
  bytesInJson = finderOf(new Map(bytes))?.any ?? null;
}

/** An expression that finds all forms. Long forms come first, because one may contain another. */
function finderOf(
  forms: ReadonlyMap<string, string>,
  wrap = (pattern: string) => pattern,
): Found | null {
  if (forms.size === 0) return null;
  const longestFirst = [...forms.keys()].sort((a, b) => b.length - a.length);
  const pattern = wrap(longestFirst.map((form) => RegExp.escape(form)).join("|"));
  return { any: new RegExp(pattern), every: new RegExp(pattern, "g"), masks: new Map(forms) };
}

function formsOf(value: string): readonly string[] {
  const json = JSON.stringify(value).slice(1, -1);
  const ascii = json.replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  const twice = [json, ascii].map((text) => JSON.stringify(text).slice(1, -1));
  const forms = [value, json, ascii, ...twice, percentEncoded(value), ...base64Of(value)];
  return [...new Set(forms)].filter((form) => form.length >= LONG_CHARS);
}

function percentEncoded(value: string): string {
  return encodeURIComponent(value.toWellFormed());
}

/** The characters of base64 that the value alone decides, for each place at which it may begin. */
function base64Of(value: string): readonly string[] {
  return [0, 1, 2].flatMap((offset) => {
    const bytes = Buffer.concat([Buffer.alloc(offset), Buffer.from(value)]);
    const text = bytes.toString("base64").replace(/=+$/, "");
    const own = text.slice(offset === 0 ? 0 : offset + 1, bytes.length % 3 === 0 ? undefined : -1);
    return [own, own.replaceAll("+", "-").replaceAll("/", "_")];
  });
}

/** Tells a form that can stand inside of a JSON string. */
function isSafeInJson(form: string): boolean {
  try {
    return JSON.parse(`"${form}"`) !== undefined;
  } catch {
    return false;
  }
}
