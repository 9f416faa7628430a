// A small pool of interpreters that answer for one file. Questions that come while an interpreter
// works go to it together afterwards, so a busy run sends long lists and an idle one waits for
// nothing. An interpreter that dies is replaced, and its questions are asked again: rules, requests
// and replies are pure. A question with which an interpreter died is asked alone, so that it fails
// alone.

import { setTimeout as pause } from "node:timers/promises";
import { type ErrorCode, MatrixError, messageOf } from "../error.ts";
import type { JsonObject } from "../task/json.ts";
import { type About, Interpreter, type PythonFile } from "./interpreter.ts";

/** Questions that go to an interpreter together. */
const TOGETHER_MAX = 256;
/** A question that was asked alone when this many interpreters died fails. */
const DEATHS_MAX = 3;
/** Interpreters that die while they load, one after another, before the questions fail. */
const STARTS_MAX = 5;
/** The pause after the first such death. It doubles with each further one. */
const START_PAUSE_MS = 100;
/** An interpreter without a question for this time ends. The next question starts another. */
const IDLE_MS = 10_000;

export interface PoolOptions extends PythonFile {
  /** The code of an error, and the subject of its sentence. */
  readonly blame: { readonly code: ErrorCode; readonly subject: string };
  /** The most interpreters. */
  readonly processes: number;
  /** The longest time for a list of questions. */
  readonly decideMs: number;
  /** Takes the lines that the file prints. */
  readonly say: (line: string) => void;
}

interface Asked {
  readonly question: string;
  /** An interpreter died with this question among others, so it is asked alone. */
  isSuspect: boolean;
  /** Interpreters that died with this question alone. */
  deaths: number;
  readonly resolve: (answer: JsonObject) => void;
  readonly reject: (error: MatrixError) => void;
}

export class InterpreterPool {
  readonly #options: PoolOptions;
  readonly #idle: Interpreter[] = [];
  readonly #retiring = new Map<Interpreter, NodeJS.Timeout>();
  #asked: Asked[] = [];
  /** Interpreters that live or start. */
  #size = 0;
  #isSending = false;

  /** Starts the first interpreter. Fails with `module_invalid` when the file does not load. */
  static async open(options: PoolOptions): Promise<{ pool: InterpreterPool; about: About }> {
    const pool = new InterpreterPool(options);
    pool.#size++;
    const { interpreter, about } = await Interpreter.start(options, options.say);
    pool.#rest(interpreter);
    return { pool, about };
  }

  private constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** Fails with the code of `blame` when the file ends its interpreter or takes too long. */
  ask(question: string): Promise<JsonObject> {
    return new Promise((resolve, reject) => {
      this.#asked.push({ question, isSuspect: false, deaths: 0, resolve, reject });
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
    const count = first?.isSuspect === true ? 1 : TOGETHER_MAX;
    const risky = this.#asked.findIndex(({ isSuspect }, index) => index > 0 && isSuspect);
    return this.#asked.splice(0, risky === -1 ? count : Math.min(count, risky));
  }

  async #grow(): Promise<void> {
    this.#size++;
    try {
      this.#rest(await this.#startAgain());
    } catch (thrown) {
      this.#size--;
      if (this.#size > 0) return;
      const failed = this.#failed(`can no longer be asked: ${messageOf(thrown)}`, thrown);
      for (const { reject } of this.#asked.splice(0)) reject(failed);
    }
  }

  /** Starts an interpreter. One that dies while it loads was killed: the file has loaded before. */
  async #startAgain(): Promise<Interpreter> {
    for (let start = 1; ; start++) {
      try {
        return (await Interpreter.start(this.#options, this.#options.say)).interpreter;
      } catch (thrown) {
        const wasKilled = thrown instanceof MatrixError && thrown.problems.length === 0;
        if (!wasKilled || start === STARTS_MAX) throw thrown;
        await pause(START_PAUSE_MS * 2 ** (start - 1));
      }
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
    const seconds = this.#options.decideMs / 1000;
    const said = words === "" ? "" : `, with these last words:\n${words}`;
    const again: Asked[] = [];
    for (const one of asked) {
      one.isSuspect = true;
      if (isAlone) one.deaths++;
      if (isAlone && isLate) one.reject(this.#failed(`did not answer within ${seconds} s`));
      else if (one.deaths >= DEATHS_MAX)
        one.reject(this.#failed(`ended its interpreter each time it was asked${said}`));
      else again.push(one);
    }
    this.#asked = [...again, ...this.#asked];
    this.#sendSoon();
  }

  #failed(what: string, cause?: unknown): MatrixError {
    const { code, subject } = this.#options.blame;
    return new MatrixError(code, `${subject} ${what}`, cause === undefined ? {} : { cause });
  }
}
