// A small pool of interpreters that decide for one rule. Questions that come while an interpreter
// works go to it together afterwards, so a busy run sends long lists and an idle one waits for
// nothing. An interpreter that dies is replaced, and its questions are asked again: a rule is pure.
// A question with which an interpreter died is asked alone, so that it fails alone.

import { MatrixError, messageOf } from "../error.ts";
import type { JsonObject } from "../task/json.ts";
import { type About, Interpreter, type RuleFile } from "./interpreter.ts";

/** Questions that go to an interpreter together. */
const TOGETHER_MAX = 256;
/** A question with which this many interpreters have died fails. */
const DEATHS_MAX = 3;
/** An interpreter without a question for this time ends. The next question starts another. */
const IDLE_MS = 10_000;

export interface PoolOptions extends RuleFile {
  /** The most interpreters. */
  readonly processes: number;
  /** The longest time for a list of questions. */
  readonly decideMs: number;
  /** Takes the lines that the rule prints. */
  readonly say: (line: string) => void;
}

interface Asked {
  readonly question: string;
  deaths: number;
  readonly resolve: (answer: JsonObject) => void;
  readonly reject: (error: MatrixError) => void;
}

export class RulePool {
  readonly #options: PoolOptions;
  readonly #idle: Interpreter[] = [];
  readonly #retiring = new Map<Interpreter, NodeJS.Timeout>();
  #asked: Asked[] = [];
  /** Interpreters that live or start. */
  #size = 0;
  #isSending = false;

  /** Starts the first interpreter. Fails with `module_invalid` when the file does not load. */
  static async open(options: PoolOptions): Promise<{ pool: RulePool; about: About }> {
    const pool = new RulePool(options);
    pool.#size++;
    const { interpreter, about } = await Interpreter.start(options, options.say);
    pool.#rest(interpreter);
    return { pool, about };
  }

  private constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** Fails with `orchestrator_failed` when the rule ends its interpreter or takes too long. */
  ask(question: string): Promise<JsonObject> {
    return new Promise((resolve, reject) => {
      this.#asked.push({ question, deaths: 0, resolve, reject });
      this.#sendSoon();
    });
  }

  /** All questions of one turn of the event loop go together. */
  #sendSoon(): void {
    if (this.#isSending) return;
    this.#isSending = true;
    setImmediate(() => {
      this.#isSending = false;
      this.#send();
    });
  }

  #send(): void {
    while (this.#asked.length > 0) {
      const interpreter = this.#idle.pop();
      if (interpreter === undefined) break;
      clearTimeout(this.#retiring.get(interpreter));
      this.#retiring.delete(interpreter);
      if (interpreter.hasEnded) this.#size--;
      else void this.#work(interpreter, this.#take());
    }
    // Interpreters are added while more wait than one list holds, or when there is none.
    const isBehind = this.#asked.length > (this.#size === 0 ? 0 : TOGETHER_MAX);
    if (isBehind && this.#size < this.#options.processes) void this.#grow();
  }

  #take(): Asked[] {
    const [first] = this.#asked;
    // One that was there when an interpreter died goes alone.
    const count = first !== undefined && first.deaths > 0 ? 1 : TOGETHER_MAX;
    const risky = this.#asked.findIndex(({ deaths }, index) => index > 0 && deaths > 0);
    return this.#asked.splice(0, risky === -1 ? count : Math.min(count, risky));
  }

  async #grow(): Promise<void> {
    this.#size++;
    try {
      const { interpreter } = await Interpreter.start(this.#options, this.#options.say);
      this.#rest(interpreter);
    } catch (thrown) {
      this.#size--;
      if (this.#size > 0) return;
      const message = `the rule can no longer be asked: ${messageOf(thrown)}`;
      for (const { reject } of this.#asked.splice(0))
        reject(new MatrixError("orchestrator_failed", message, { cause: thrown }));
    }
  }

  /** Makes an interpreter ready for the next list. */
  #rest(interpreter: Interpreter): void {
    this.#idle.push(interpreter);
    const retire = setTimeout(() => {
      this.#idle.splice(this.#idle.indexOf(interpreter), 1);
      this.#retiring.delete(interpreter);
      this.#size--;
      interpreter.close();
    }, IDLE_MS);
    retire.unref();
    this.#retiring.set(interpreter, retire);
    if (this.#asked.length > 0) this.#sendSoon();
  }

  async #work(interpreter: Interpreter, asked: readonly Asked[]): Promise<void> {
    const { decideMs } = this.#options;
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      interpreter.kill();
    }, decideMs);
    try {
      const answers = await interpreter.ask(asked.map(({ question }) => question));
      clearTimeout(timer);
      for (const [index, { resolve }] of asked.entries()) resolve(answers[index] as JsonObject);
      this.#rest(interpreter);
    } catch {
      clearTimeout(timer);
      interpreter.kill();
      this.#size--;
      this.#askAgain(asked, interpreter.words, isLate);
    }
  }

  #askAgain(asked: readonly Asked[], words: string, isLate: boolean): void {
    const isAlone = asked.length === 1;
    const again: Asked[] = [];
    for (const one of asked) {
      one.deaths++;
      if (isAlone && isLate) one.reject(tooLate(this.#options.decideMs));
      else if (one.deaths >= DEATHS_MAX) one.reject(ended(words));
      else again.push(one);
    }
    this.#asked = [...again, ...this.#asked];
    this.#sendSoon();
  }
}

function tooLate(decideMs: number): MatrixError {
  return new MatrixError(
    "orchestrator_failed",
    `the rule did not decide within ${decideMs / 1000} s`,
  );
}

function ended(words: string): MatrixError {
  const said = words === "" ? "" : `, with these last words:\n${words}`;
  const message = `the rule ended its interpreter each time it was asked${said}`;
  return new MatrixError("orchestrator_failed", message);
}
