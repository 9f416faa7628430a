// Counts records whose content looks like it holds a credential that this program does not know: a
// key in a row, or one that a model has seen in training. The content is left as it is. The rules
// are those of gitleaks (github.com/gitleaks/gitleaks, config/gitleaks.toml) with prefixes that
// hardly occur otherwise; lengths that vary between issuers are taken loosely.

interface Rule {
  /** The name of the rule in gitleaks, where it has one. */
  readonly name: string;
  /** Texts, one of which every match has. They are looked for first, because that is fast. */
  readonly literals: readonly string[];
  readonly pattern: RegExp;
  /** The text to leave out, where that is more than the pattern matches. */
  readonly whole?: RegExp;
}

const RULES: readonly Rule[] = [
  {
    name: "aws-access-token",
    literals: ["AKIA", "ASIA", "ABIA", "ACCA"],
    pattern: /\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b/,
  },
  { name: "openai-api-key", literals: ["sk-"], pattern: /\bsk-(?!ant-)(?=[\w-]*\d)[\w-]{20,}/ },
  { name: "anthropic-api-key", literals: ["sk-ant-"], pattern: /\bsk-ant-[\w-]{20,}/ },
  {
    name: "github-token",
    literals: ["ghp_", "gho_", "ghu_", "ghs_", "ghr_"],
    pattern: /\bgh[pousr]_[0-9a-zA-Z]{36}/,
  },
  {
    name: "github-fine-grained-pat",
    literals: ["github_pat_"],
    pattern: /\bgithub_pat_\w{30,}/,
  },
  { name: "gitlab-pat", literals: ["glpat-"], pattern: /\bglpat-[\w-]{20}/ },
  { name: "huggingface-access-token", literals: ["hf_"], pattern: /\bhf_[a-zA-Z0-9]{30,}/ },
  { name: "gcp-api-key", literals: ["AIza"], pattern: /\bAIza[\w-]{35}/ },
  { name: "slack-token", literals: ["xox"], pattern: /\bxox[abeprs]-[0-9A-Za-z-]{20,}/ },
  {
    name: "stripe-access-token",
    literals: ["k_live_"],
    pattern: /\b[sr]k_live_[a-zA-Z0-9]{10,99}/,
  },
  { name: "npm-access-token", literals: ["npm_"], pattern: /\bnpm_[a-zA-Z0-9]{36}/ },
  { name: "pypi-upload-token", literals: ["pypi-AgE"], pattern: /\bpypi-AgE[\w-]{50,}/ },
  {
    name: "jwt",
    literals: [".eyJ"],
    pattern: /\bey[a-zA-Z0-9_-]{17,}\.ey[a-zA-Z0-9_-]{17,}\.[a-zA-Z0-9_-]{10,}/,
  },
  {
    name: "private-key",
    literals: ["PRIVATE KEY"],
    pattern: /-----BEGIN[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?-----/,
    // A key that was cut short ends with the text.
    whole:
      /-----BEGIN[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END[ A-Z0-9_-]{0,100}-----|$)/,
  },
];

const LITERALS = RULES.flatMap((rule) =>
  rule.literals.map((literal) => ({ rule, bytes: Buffer.from(literal) })),
);

/** The names of the rules that content matches. */
export function credentialsIn(content: string | Uint8Array): readonly string[] {
  // Code units beyond Latin-1 lose their upper half here, so the pattern is tested on the text.
  const buffer =
    typeof content === "string"
      ? Buffer.from(content, "latin1")
      : Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  const names = new Set<string>();
  let text: string | null = null;
  for (const { rule, bytes } of LITERALS) {
    if (names.has(rule.name) || !buffer.includes(bytes)) continue;
    text ??= typeof content === "string" ? content : buffer.toString("utf8");
    if (rule.pattern.test(text)) names.add(rule.name);
  }
  return [...names];
}

/** The text with `[NAME]` of the rule in the place of each credential. */
export function withoutCredentials(text: string): string {
  let left = text;
  for (const { name, literals, pattern, whole = pattern } of RULES) {
    if (!literals.some((literal) => left.includes(literal))) continue;
    left = left.replace(new RegExp(whole.source, "g"), `[${name}]`);
  }
  return left;
}

/** Time that looking may take at first, and the share of all time that it may take later. */
const FREE_MS = 100;
const SHARE_MAX = 0.01;

export interface FoundCredentials {
  /** Records that were looked at. */
  readonly looked: number;
  /** Records that hold any. */
  readonly records: number;
  /** Records by the name of the rule. */
  readonly rules: Readonly<Record<string, number>>;
}

/** Counts over records. With a clock, it looks at no more records than it has time for. */
export class CredentialCount {
  readonly #clock: (() => number) | null;
  readonly #beganMs: number;
  #spentMs = 0;
  #looked = 0;
  #records = 0;
  readonly #rules: Record<string, number> = {};

  /** `clock` gives milliseconds from any fixed point. */
  constructor(clock: (() => number) | null = null) {
    this.#clock = clock;
    this.#beganMs = clock?.() ?? 0;
  }

  get found(): FoundCredentials {
    return { looked: this.#looked, records: this.#records, rules: { ...this.#rules } };
  }

  /** Looks at records, each a line in parts, such as text or bytes of UTF-8. */
  look(lines: readonly (readonly (string | Uint8Array)[])[]): void {
    const beganMs = this.#clock?.() ?? 0;
    if (this.#spentMs > FREE_MS + SHARE_MAX * (beganMs - this.#beganMs)) return;
    for (const line of lines) this.#count(new Set(line.flatMap(credentialsIn)));
    this.#spentMs += (this.#clock?.() ?? 0) - beganMs;
  }

  #count(names: ReadonlySet<string>): void {
    this.#looked++;
    if (names.size > 0) this.#records++;
    for (const name of names) this.#rules[name] = (this.#rules[name] ?? 0) + 1;
  }
}
