// The in-memory transport: one host and the sink in one process. It carries the messages that a
// network would carry, and in lots like a network, so a run in one process uses the same code as a
// cluster.

import type { Message, Task } from "../task/task.ts";
import { Inbox } from "./inbox.ts";
import type { HostTransport, Receiver } from "./transport.ts";

export class MemoryTransport implements HostTransport {
  readonly self = "here";
  readonly #inbox = new Inbox();

  /** Begins to deliver. Messages that were sent before are kept until then. */
  start(host: Receiver, sink: Receiver): void {
    this.#inbox.start({
      receive: (messages) => {
        const toHost: Message[] = [];
        const toSink: Message[] = [];
        for (const message of messages) (isForSink(message) ? toSink : toHost).push(message);
        if (toSink.length > 0) sink.receive(toSink);
        if (toHost.length > 0) host.receive(toHost);
      },
    });
  }

  submit(message: Message): void {
    this.#inbox.push(message);
  }

  begin(task: Task): Task {
    return task;
  }

  handOn(_done: Task, next: Message): void {
    this.#inbox.push(next);
  }

  settle(): void {}
}

/** The end of a branch goes to the host, which waits for it. */
function isForSink({ kind, task }: Message): boolean {
  return kind === "end" && task.branch === undefined;
}
