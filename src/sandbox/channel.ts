// Requests and replies to an agent in a sandbox, as lines of JSON over its stdin and stdout, many at once:
// `{"id": 1, "op": …}` is answered by `{"id": 1, "ok": true, "result": …}` or `{"id": 1, "ok": false, "error": {kind, message}}`,
// in any order; `{"cancel": 1}` says that nobody waits for 1 any more, `{"end": {…}}` that a task is over. A line that is too long or no JSON, and the agent's death,
// fail whatever waits, with their text: an agent that no longer speaks the protocol is of no use. Never a hang.

import { StringDecoder } from "node:string_decoder";
import { MatrixError, messageOf } from "../error.ts";
import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";
import type { Running } from "./contract.ts";

export interface ChannelOptions {
  /** What errors call the agent. */
  readonly name: string;
  /** Of one line, either way. */
  readonly lineBytesMax: number;
  /** The agent's stderr, a line at a time, shortened. */
  readonly onStderr: (line: string) => void;
}

export interface RequestOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** What the agent said of a request: a failure of the agent's own is an outcome of the request. */
export type Reply =
  | { readonly ok: true; readonly result: Json }
  | { readonly ok: false; readonly kind: string; readonly message: string };

interface Pending {
  readonly settle: (reply: Reply) => void;
  readonly fail: (error: Error) => void;
}

/** The last of an agent's stderr goes into the error that tells of its death. */
const LAST_WORDS_CHARS = 2000;
const STDERR_LINE_CHARS = 4000;
const SHOWN_CHARS = 200;
const NEWLINE = 0x0a;
/** In a row; and how long one can be that is worth a look. */
const BLANKS_MAX = 100_000;
const BLANK_BYTES_MAX = 100;

export class Channel {
  readonly #running: Running;
  readonly #options: ChannelOptions;
  readonly #pending = new Map<number, Pending>();
  /** Parts of a line whose end has not come. */
  #parts: Buffer[] = [];
  #partsBytes = 0;
  /** In a row. */
  #blanks = 0;
  #lastWords = "";
  /** The beginning of a line of stderr. */
  #heard = "";
  #next = 1;
  #dead: MatrixError | null = null;
  /** Resolves when the channel can no longer be used, with the error that says why. */
  readonly closed: Promise<MatrixError>;
  readonly #close = Promise.withResolvers<MatrixError>();

  constructor(running: Running, options: ChannelOptions) {
    this.#running = running;
    this.#options = options;
    this.closed = this.#close.promise;
    running.stdin.on("error", () => undefined);
    running.stdout.on("data", (chunk: Buffer) => this.#read(chunk));
    const decoder = new StringDecoder("utf8");
    running.stderr.on("data", (chunk: Buffer) => this.#hear(decoder.write(chunk)));
    running.exited.then(
      (code) =>
        this.#die(
          new MatrixError(
            "sandbox_lost",
            `${options.name} ended with exit ${code}${this.#words()}`,
          ),
        ),
      (thrown: unknown) =>
        this.#die(
          new MatrixError(
            "sandbox_lost",
            `${options.name} is gone: ${messageOf(thrown)}${this.#words()}`,
            { cause: thrown },
          ),
        ),
    );
  }

  /** Requests without a reply yet. */
  get waiting(): number {
    return this.#pending.size;
  }

  /**
   * Fails with `sandbox_lost` and `sandbox_bad_answer` when the channel breaks, `agent_timeout` when no reply comes in time, and
   * the signal's reason when it aborts. The agent is told of the last two and goes on with other requests.
   */
  request(body: JsonObject, { timeoutMs, signal }: RequestOptions): Promise<Reply> {
    if (this.#dead !== null) return Promise.reject(this.#dead);
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    const id = this.#next++;
    const line = Buffer.from(`${JSON.stringify({ ...body, id })}\n`);
    const { name, lineBytesMax } = this.#options;
    if (line.length > lineBytesMax)
      return Promise.reject(
        new MatrixError(
          "agent_failed",
          `a request of ${line.length} bytes to ${name} is longer than a line may be, ${lineBytesMax} bytes`,
        ),
      );
    return new Promise<Reply>((resolve, reject) => {
      const settled = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
        this.#pending.delete(id);
      };
      const fail = (error: Error): void => {
        settled();
        reject(error);
      };
      const give = (error: Error): void => {
        this.tell({ cancel: id });
        fail(error);
      };
      const timer = setTimeout(
        () =>
          give(new MatrixError("agent_timeout", `${name} did not reply within ${timeoutMs} ms`)),
        timeoutMs,
      );
      const abort = () => give(signal?.reason as Error);
      signal?.addEventListener("abort", abort, { once: true });
      this.#pending.set(id, {
        settle: (reply) => {
          settled();
          resolve(reply);
        },
        fail,
      });
      this.#write(line);
    });
  }

  /** Tells the agent something that it does not answer. */
  tell(body: JsonObject): void {
    this.#write(Buffer.from(`${JSON.stringify(body)}\n`));
  }

  /** Ends the agent; what waits fails. */
  async stop(): Promise<void> {
    this.#die(new MatrixError("sandbox_lost", `${this.#options.name} was stopped`));
    await this.#running.kill();
  }

  #write(line: Buffer): void {
    // A full pipe is buffered: requests are bounded by the tasks in flight, and lines by their limit.
    if (this.#dead === null) this.#running.stdin.write(line);
  }

  #read(chunk: Buffer): void {
    let from = 0;
    for (
      let end = chunk.indexOf(NEWLINE);
      end !== -1 && this.#dead === null;
      end = chunk.indexOf(NEWLINE, from)
    ) {
      this.#line(chunk.subarray(from, end));
      from = end + 1;
    }
    if (from < chunk.length && this.#dead === null) this.#keep(chunk.subarray(from));
  }

  #keep(part: Buffer): void {
    this.#parts.push(part);
    this.#partsBytes += part.length;
    const { lineBytesMax, name } = this.#options;
    if (this.#partsBytes > lineBytesMax)
      this.#breakOff(
        `${name} wrote a line longer than ${lineBytesMax} bytes`,
        this.#parts[0] ?? part,
      );
  }

  #line(end: Buffer): void {
    const line = this.#parts.length === 0 ? end : Buffer.concat([...this.#parts, end]);
    this.#parts = [];
    this.#partsBytes = 0;
    if (line.length > this.#options.lineBytesMax) {
      this.#breakOff(
        `${this.#options.name} wrote a line longer than ${this.#options.lineBytesMax} bytes`,
        line,
      );
      return;
    }
    // Blank lines are harmless, unless there is no end to them.
    if (
      line.length === 0 ||
      (line.length < BLANK_BYTES_MAX && line.toString("latin1").trim() === "")
    ) {
      if (++this.#blanks > BLANKS_MAX)
        this.#breakOff(`${this.#options.name} writes nothing but blank lines`, line);
      return;
    }
    this.#blanks = 0;
    const reply = parse(line);
    // Something but the agent writes here, and replies may be torn.
    if (reply === null) {
      this.#breakOff(`${this.#options.name} wrote a line that is no reply`, line);
      return;
    }
    // Nobody waits for a reply that was cancelled.
    this.#pending.get(reply.id)?.settle(reply.reply);
  }

  #breakOff(what: string, line: Buffer): void {
    const shown = line
      .subarray(0, 4 * SHOWN_CHARS)
      .toString("utf8")
      .slice(0, SHOWN_CHARS);
    this.#die(
      new MatrixError("sandbox_bad_answer", `${what}: ${JSON.stringify(shown)}`, {
        hint: "only replies may go to stdout; what is printed for people goes to stderr",
      }),
    );
    void this.#running.kill();
  }

  #hear(text: string): void {
    this.#lastWords = (this.#lastWords + text).slice(-LAST_WORDS_CHARS);
    const lines = (this.#heard + text).split("\n");
    // A line without end is told in pieces.
    const rest = lines.at(-1) ?? "";
    this.#heard = rest.length > STDERR_LINE_CHARS ? "" : rest;
    for (const line of rest === this.#heard ? lines.slice(0, -1) : lines)
      if (line.trim() !== "") this.#options.onStderr(line.slice(0, STDERR_LINE_CHARS));
  }

  #words(): string {
    const words = this.#lastWords.trim();
    return words === "" ? "" : `; its last words: ${words}`;
  }

  #die(error: MatrixError): void {
    if (this.#dead !== null) return;
    this.#dead = error;
    this.#parts = [];
    for (const { fail } of [...this.#pending.values()]) fail(error);
    this.#running.stdin.end();
    this.#close.resolve(error);
  }
}

function parse(line: Buffer): { readonly id: number; readonly reply: Reply } | null {
  let value: unknown;
  try {
    value = JSON.parse(line.toString("utf8"));
  } catch {
    return null;
  }
  if (!isJsonObject(value) || typeof value["ok"] !== "boolean") return null;
  const { ok, result = null, error } = value;
  // An agent that could not read a line of ours answers it without a number; nobody waits for that.
  const id = typeof value["id"] === "number" ? value["id"] : 0;
  if (ok) return { id, reply: { ok, result } };
  const { kind, message } = isJsonObject(error) ? error : {};
  return {
    id,
    reply: {
      ok,
      kind: typeof kind === "string" ? kind : "error",
      message: typeof message === "string" ? message : JSON.stringify(error ?? null),
    },
  };
}
