// Requests and replies to an agent in a sandbox: lines of JSON over its stdin and stdout, many at
// once. The agent answers `{"id": ID, "op": …}` with `{"id": ID, "ok": true, "result": …}` or with
// `{"id": ID, "ok": false, "error": {kind, message}}`, in any order. `{"cancel": ID}` tells the
// agent that this request needs no reply any more, and `{"end": {…}}` that a task is over.
//
// Ids are secrets: other code in the sandbox can write to the agent's stdout, and must not be able
// to answer a request that it was not given. A reply without the id of an open request breaks the
// protocol.
//
// A request never hangs. When the agent dies or leaves the protocol, every waiting request fails
// with the reason.

import { MatrixError, messageOf } from "../error.ts";
import { randomId } from "../random-id.ts";
import type { JsonObject } from "../task/json.ts";
import type { Running } from "./contract.ts";
import { type Reply, ReplyLines } from "./reply-lines.ts";
import { StderrLines } from "./stderr-lines.ts";

export interface ChannelOptions {
  /** Name of the agent in errors. */
  readonly name: string;
  /** Upper bound of a line in bytes, in either direction. */
  readonly lineBytesMax: number;
  /** Called with each line of the agent's stderr, shortened. */
  readonly onStderr: (line: string) => void;
}

export interface RequestOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

interface Pending {
  readonly settle: (reply: Reply) => void;
  readonly fail: (error: Error) => void;
}

/** 22 letters of 6 random bits. */
const ID_LETTERS = 22;
/** Requests that ended without a reply, and whose late reply is still accepted. */
const UNANSWERED_MAX = 10_000;
/** Characters of a bad line that its error shows. */
const SHOWN_CHARS = 200;
/** Exit codes from here on say which signal ended a program. */
const SIGNALLED = 128;

export class Channel {
  /** Resolves when the channel can no longer be used, with the error that says why. */
  readonly closed: Promise<MatrixError>;
  readonly #close = Promise.withResolvers<MatrixError>();
  readonly #running: Running;
  readonly #options: ChannelOptions;
  readonly #replies: ReplyLines;
  readonly #stderr: StderrLines;
  readonly #pending = new Map<string, Pending>();
  /** Ids of requests that were cancelled before their reply came, the oldest first. */
  readonly #unanswered = new Set<string>();
  #hasReplied = false;
  #dead: MatrixError | null = null;

  constructor(running: Running, options: ChannelOptions) {
    this.#running = running;
    this.#options = options;
    this.closed = this.#close.promise;
    this.#replies = new ReplyLines({
      lineBytesMax: options.lineBytesMax,
      onReply: (id, reply) => this.#take(id, reply),
      onBreak: (what, line) => this.#breakOff(what, line),
    });
    this.#stderr = new StderrLines(options.onStderr);
    running.stdin.on("error", () => undefined);
    running.stdout.on("data", (chunk: Buffer) => this.#replies.push(chunk));
    running.stderr.on("data", (chunk: Buffer) => this.#stderr.push(chunk));
    running.exited.then(
      (code) => this.#lose(this.#codeOf(code), `ended with exit ${code}`),
      (thrown: unknown) => this.#lose("sandbox_lost", `is gone: ${messageOf(thrown)}`, thrown),
    );
  }

  /** Requests without a reply yet. */
  get waiting(): number {
    return this.#pending.size;
  }

  /**
   * Fails with `sandbox_lost`, `program_failed` or `sandbox_bad_answer` when the channel breaks,
   * with `agent_timeout` when no reply comes in time, and with the signal's reason when it aborts.
   * The agent is told of the last two, and goes on with other requests.
   */
  request(body: JsonObject, { timeoutMs, signal }: RequestOptions): Promise<Reply> {
    if (this.#dead !== null) return Promise.reject(this.#dead);
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    const id = randomId(ID_LETTERS);
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
      const cancel = (error: Error): void => {
        this.#cancelled(id);
        fail(error);
      };
      const late = () =>
        cancel(new MatrixError("agent_timeout", `${name} did not reply within ${timeoutMs} ms`));
      const timer = setTimeout(late, timeoutMs);
      const abort = () => cancel(signal?.reason as Error);
      signal?.addEventListener("abort", abort, { once: true });
      const settle = (reply: Reply): void => {
        settled();
        resolve(reply);
      };
      this.#pending.set(id, { settle, fail });
      this.#write(line);
    });
  }

  /** Sends the agent a notice that it does not answer. */
  tell(body: JsonObject): void {
    this.#write(Buffer.from(`${JSON.stringify(body)}\n`));
  }

  /** Ends the agent and fails every waiting request. */
  async stop(): Promise<void> {
    this.#die(new MatrixError("sandbox_lost", `${this.#options.name} was stopped`));
    await this.#running.kill();
  }

  /** Answers true when the reply belongs to a request of ours that had none yet. */
  #take(id: string, reply: Reply): boolean {
    const pending = this.#pending.get(id);
    if (pending === undefined && !this.#unanswered.delete(id)) return false;
    this.#hasReplied = true;
    pending?.settle(reply);
    return true;
  }

  #cancelled(id: string): void {
    this.tell({ cancel: id });
    this.#unanswered.add(id);
    const [oldest] = this.#unanswered;
    if (oldest !== undefined && this.#unanswered.size > UNANSWERED_MAX)
      this.#unanswered.delete(oldest);
  }

  #write(line: Buffer): void {
    // A full pipe is buffered without a limit here, because the tasks in flight limit the number of
    // requests and the line limit their length.
    if (this.#dead === null) this.#running.stdin.write(line);
  }

  #breakOff(what: string, line: Buffer): void {
    const shown = line
      .subarray(0, 4 * SHOWN_CHARS)
      .toString("utf8")
      .slice(0, SHOWN_CHARS);
    this.#die(
      new MatrixError(
        "sandbox_bad_answer",
        `${this.#options.name} ${what}: ${JSON.stringify(shown)}`,
        {
          hint: "write only replies to stdout, one for each request and with its id, and everything else to stderr",
        },
      ),
    );
    void this.#running.kill();
  }

  /** A program that ends by itself and never answered does not work. A signal is no word of it. */
  #codeOf(exit: number | null): "program_failed" | "sandbox_lost" {
    const isOwn = exit !== null && exit < SIGNALLED;
    return isOwn && !this.#hasReplied ? "program_failed" : "sandbox_lost";
  }

  #lose(code: "program_failed" | "sandbox_lost", why: string, cause?: unknown): void {
    const words = this.#stderr.lastWords;
    const tail = words === "" ? "" : `; its last words: ${words}`;
    const message = `${this.#options.name} ${why}${tail}`;
    this.#die(new MatrixError(code, message, cause === undefined ? {} : { cause }));
  }

  #die(error: MatrixError): void {
    if (this.#dead !== null) return;
    this.#dead = error;
    this.#replies.stop();
    for (const { fail } of [...this.#pending.values()]) fail(error);
    this.#running.stdin.end();
    this.#close.resolve(error);
  }
}
