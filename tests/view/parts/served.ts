// The server of the web page in process, over folders of a test.

import type { Hono } from "hono";
import type { LiveDriver, RunsAnswer, Session } from "../../../src/view/api.ts";
import { createViewApp } from "../../../src/view/app.ts";
import { RunLibrary } from "../../../src/view/library/run-library.ts";
import type { PageFiles } from "../../../src/view/page-files.ts";

export interface Served {
  readonly app: Hono;
  readonly library: RunLibrary;
  get(path: string, init?: RequestInit): Promise<Response>;
  /** The JSON of an answer, which must have the status 200. */
  json<T>(path: string): Promise<T>;
  /** Says something of a record. */
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>;
  /** The key of the run with this name of its folder. */
  key(name: string): Promise<string>;
}

export interface ServedOptions {
  readonly token?: string;
  readonly session?: Partial<Session>;
  readonly page?: PageFiles;
  readonly driver?: () => LiveDriver;
}

const SESSION: Session = {
  version: "0",
  who: "ann",
  canAnnotate: true,
  from: "folder",
  places: ["runs"],
  only: null,
};

export async function withServer(
  places: readonly string[],
  use: (served: Served) => Promise<void>,
  { token, session, page = new Map(), driver }: ServedOptions = {},
): Promise<void> {
  const library = new RunLibrary(places, "/");
  const app = createViewApp({
    library,
    page,
    session: { ...SESSION, ...session },
    token: token ?? null,
    driver: driver ?? null,
  });
  const get = async (path: string, init?: RequestInit) => app.request(path, init);
  const json = async <T>(path: string): Promise<T> => {
    let response = await get(`/api${path}`);
    // A large run is still being opened.
    while (response.status === 202) response = await get(`/api${path}`);
    const body = (await response.json()) as T;
    if (response.status !== 200)
      throw new Error(`${path}: ${response.status} ${JSON.stringify(body)}`);
    return body;
  };
  const post = async (path: string, body: unknown, headers: Record<string, string> = {}) =>
    get(`/api${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  const key = async (name: string) => {
    const { runs } = await json<RunsAnswer>("/runs");
    const found = runs.find((run) => run.path.endsWith(name));
    if (found === undefined) throw new Error(`no run ${name} among ${runs.map((r) => r.path)}`);
    return found.key;
  };
  try {
    await use({ app, library, get, json, post, key });
  } finally {
    await library.close();
  }
}

/** The data of server-sent events, by their names, in order. */
export function eventsIn(text: string): readonly (readonly [name: string, data: unknown])[] {
  return text
    .split("\n\n")
    .filter((block) => block.trim() !== "")
    .map((block) => {
      const lines = block.split("\n");
      const of = (name: string) =>
        lines
          .filter((line) => line.startsWith(`${name}: `))
          .map((line) => line.slice(name.length + 2))
          .join("\n");
      return [of("event"), JSON.parse(of("data"))] as const;
    });
}
