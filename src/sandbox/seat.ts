// One running sandbox of a pool: the agents in it, and how many tasks have it.

import { MatrixError } from "../error.ts";
import type { JsonObject } from "../task/json.ts";
import type { Log } from "../telemetry/log.ts";
import { Channel } from "./channel.ts";
import type { Command, Sandbox } from "./contract.ts";

export interface AgentOptions {
  readonly command: Command;
  readonly lineBytesMax: number;
}

export class Seat {
  readonly sandbox: Sandbox;
  readonly #name: string;
  readonly #log: Log;
  /** Channels to agents, by the agent's command. */
  readonly #channels = new Map<string, Promise<Channel>>();
  /** Tasks that have this sandbox. */
  sessions = 0;
  /** The reason why the sandbox is gone, or null. */
  gone: string | null = null;

  constructor(sandbox: Sandbox, name: string, log: Log) {
    this.sandbox = sandbox;
    this.#name = name;
    this.#log = log;
    void sandbox.ended.then((reason) => {
      this.gone ??= reason;
    });
  }

  /** The channel to an agent, which is started at the first request. */
  channel({ command, lineBytesMax }: AgentOptions): Promise<Channel> {
    const key = JSON.stringify(command);
    const open = this.#channels.get(key);
    if (open !== undefined) return open;
    const opening = this.#open(command, lineBytesMax);
    this.#channels.set(key, opening);
    opening.catch(() => this.stop());
    return opening;
  }

  /** Tells every agent that a session is over, so that it can drop what it holds of the session. */
  end(session: JsonObject): void {
    for (const channel of this.#channels.values()) {
      channel.then(
        (open) => open.tell({ end: session }),
        () => undefined,
      );
    }
  }

  async stop(): Promise<void> {
    this.gone ??= "it was stopped";
    await this.sandbox.stop();
  }

  async #open(command: Command, lineBytesMax: number): Promise<Channel> {
    const name = `the agent in sandbox ${this.#name}`;
    const fields = { sandbox: this.#name, id: this.sandbox.id };
    const onStderr = (line: string) => this.#log.write("info", line, fields);
    const running = await this.sandbox.open(command).catch((thrown: unknown) => {
      // The first reason says more than the engine, which has just stopped the sandbox.
      throw this.gone === null ? thrown : new MatrixError("sandbox_lost", this.gone);
    });
    const channel = new Channel(running, { name, lineBytesMax, onStderr });
    // The state of the agent's sessions is gone with the agent, so the sandbox is of no more use.
    void channel.closed.then((error) => {
      if (this.gone === null) this.#log.write("warning", error.message, fields);
      this.gone ??= error.message;
      return this.stop();
    });
    return channel;
  }
}
