// The server of `matrix view`, spoken to by fetch and by server-sent events.

import { createParser } from "eventsource-parser";
import type { Failure, LiveEvent, Opening, RecordQuery, RecordRef, ScanEvent } from "../../api.ts";
import { type LiveWatcher, type ScanWatcher, type Source, SourceError } from "./contract.ts";
import { opening } from "./opening.ts";

const OPENING = 202;
const OPENING_MS = 200;

export function createHttpSource(base: URL): Source {
  const at = (path: string) => new URL(`api${path}`, base).href;
  const get = async <T>(path: string): Promise<T> => (await whenOpen(at(path))).json();
  const run = (key: string) => `/runs/${encodeURIComponent(key)}`;
  const record = (key: string, { id, trial }: RecordRef) =>
    `${run(key)}/records/${encodeURIComponent(id)}/${trial}`;
  return {
    session: () => get("/session"),
    runs: () => get("/runs"),
    run: (key) => get(run(key)),
    records: (key, query) => get(`${run(key)}/records${search(query)}`),
    scan: (key, { where, q }, watcher) =>
      scan(at(`${run(key)}/scan${search({ where, q })}`), watcher),
    errors: (key, query) => get(`${run(key)}/errors${search(query)}`),
    trials: (key, id) => get(`${run(key)}/rows/${encodeURIComponent(id)}`),
    record: (key, ref, query) => get(`${record(key, ref)}${search(query)}`),
    hops: (key, ref, from, count) =>
      get(`${record(key, ref)}/hops${search({ from: String(from), count: String(count) })}`),
    prompts: (key, ref, hop) => get(`${record(key, ref)}/prompts${search({ hop: String(hop) })}`),
    recipe: async (key) => (await request(at(`${run(key)}/recipe`))).text(),
    annotations: (key) => get(`${run(key)}/annotations`),
    annotate: async (key, change) =>
      (
        await request(at(`${run(key)}/annotations`), {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(change),
        })
      ).json(),
    agreement: (key, threshold) =>
      get(`${run(key)}/agreement${search({ threshold: String(threshold) })}`),
    live: (key, watcher) => live(at(`${run(key)}/live`), watcher),
    compare: (keys) =>
      get(`/compare?${keys.map((key) => `run=${encodeURIComponent(key)}`).join("&")}`),
    rawAddress: (key, ref) => at(`${record(key, ref)}/raw`),
    text: (key, ref, pointer) =>
      wholeText((from) =>
        at(`${record(key, ref)}/text${search({ at: pointer, from: String(from) })}`),
      ),
    attachmentAddress: (key, ref, hash) => at(`${record(key, ref)}/attachments/${hash}`),
  };
}

/** Asks again while the server reads the records of a run for the first time. */
async function whenOpen(address: string): Promise<Response> {
  for (;;) {
    const response = await request(address);
    if (response.status !== OPENING) {
      opening.value = null;
      return response;
    }
    const answer: Opening = await response.json();
    opening.value = answer.opening;
    await new Promise((resolve) => setTimeout(resolve, OPENING_MS));
  }
}

async function request(address: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(address, init);
  } catch (cause) {
    if (init.signal?.aborted === true) throw cause;
    throw new SourceError(
      "unreachable",
      "The server does not answer. Is `matrix view` still running, and the tunnel still open?",
    );
  }
  if (response.ok) return response;
  const failure = await response.json().then(
    (answer: Failure) => answer,
    () => null,
  );
  throw new SourceError(
    failure?.code ?? `http_${response.status}`,
    failure?.message ?? `The server answered ${response.status} ${response.statusText}.`,
  );
}

/** The server gives a long text in pieces. */
async function wholeText(pieceAt: (from: number) => string): Promise<Blob> {
  const pieces: string[] = [];
  let read = 0;
  for (;;) {
    const response = await request(pieceAt(read));
    const piece = await response.text();
    pieces.push(piece);
    read += piece.length;
    const total = Number(response.headers.get("x-total-chars") ?? read);
    if (piece === "" || read >= total) return new Blob(pieces, { type: "text/plain" });
  }
}

type Parameters = { readonly [name: string]: string | undefined } | RecordQuery;

/** The parameters that are set, as the end of an address. */
function search(parameters: Parameters): string {
  const set = Object.entries(parameters).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string" && entry[1] !== "",
  );
  return set.length === 0 ? "" : `?${new URLSearchParams(set).toString()}`;
}

/** Read by fetch: a stream of the browser's own would not tell why it was refused. */
function scan(address: string, watcher: ScanWatcher): () => void {
  const control = new AbortController();
  void readScan(address, watcher, control.signal).catch((problem: unknown) => {
    if (control.signal.aborted) return;
    const words =
      problem instanceof SourceError
        ? problem.message
        : "The connection broke before the search was complete.";
    watcher.progress({
      ...{ state: "failed", read: 0, total: 0, matched: 0, errors: 0 },
      problem: words,
    });
  });
  return () => control.abort();
}

async function readScan(address: string, watcher: ScanWatcher, signal: AbortSignal): Promise<void> {
  const { body } = await request(address, { signal });
  if (body === null) return;
  const parser = createParser({
    onEvent: ({ event, data }) => {
      const told = { event, data: JSON.parse(data) } as ScanEvent;
      if (told.event === "hit") watcher.hit(told.data);
      else watcher.progress(told.data);
    },
  });
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    parser.feed(value);
  }
}

function live(address: string, watcher: LiveWatcher): () => void {
  const stream = new EventSource(address);
  stream.onopen = () => watcher.connected(true);
  stream.onerror = () => watcher.connected(false);
  const name: LiveEvent["event"] = "live";
  stream.addEventListener(name, (event) => watcher.live(JSON.parse(event.data)));
  return () => stream.close();
}
