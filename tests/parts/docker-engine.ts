// A Docker engine of a test's own: the part of the API that the program uses, at a Unix socket. Its
// containers are records, and commands in them are plain processes of this machine.

import { type ChildProcess, spawn } from "node:child_process";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { withEnv } from "./env.ts";
import { withFolder } from "./folder.ts";

export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: Buffer;
}

/** A reply; `lines` are sent as the JSON lines of a pull or a build. */
export interface ApiReply {
  readonly status: number;
  readonly json?: unknown;
  readonly lines?: readonly unknown[];
  /** The body never ends. */
  readonly hangs?: boolean;
}

interface Container {
  readonly id: string;
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  socket: Socket | null;
}

interface Exec {
  readonly config: {
    readonly Cmd: readonly string[];
    readonly Env: readonly string[];
    readonly AttachStdin: boolean;
    readonly AttachStdout: boolean;
    readonly AttachStderr: boolean;
  };
  child: ChildProcess | null;
  exitCode: number | null;
}

export class DockerEngine {
  readonly requests: ApiRequest[] = [];
  readonly containers = new Map<string, Container>();
  /** Ids of images by their reference. */
  readonly images = new Map<string, string>();
  /** Replies that replace the engine's own, by the beginning of `METHOD /path`. */
  readonly replies = new Map<string, ApiReply>();
  /** The engine's report of a command. The default is its real state. */
  inspect: (exitCode: number | null) => unknown = (exitCode) => ({
    Running: exitCode === null,
    ExitCode: exitCode,
    Pid: 1,
  });
  /** Variables that the engine's own configuration adds to each container. */
  addedEnv: readonly string[] = [];
  /** The file that a command in a container finds as /proc/self/mountinfo. */
  mountinfo = "/dev/null";
  /** What the engine writes in place of a command that it cannot start; null starts commands. */
  refusal: { readonly text: string; readonly exitCode: number } | null = null;
  /** Called with each request before it is answered. */
  onRequest: (request: ApiRequest) => void = () => undefined;
  /** Called with the name of each container that is created. */
  onCreate: (name: string) => void = () => undefined;
  readonly #execs = new Map<string, Exec>();
  #next = 0;

  /** Runs `use` with DOCKER_HOST set to this engine. */
  static within(use: (engine: DockerEngine) => Promise<void>): Promise<void> {
    return withFolder(async (folder) => {
      const engine = new DockerEngine();
      const path = join(folder, "docker.sock");
      const sockets = new Set<Socket>();
      const server = createServer({ allowHalfOpen: true }, (socket) => {
        sockets.add(socket);
        socket.on("error", () => undefined);
        engine.#serve(socket);
      });
      await new Promise<void>((resolve) => server.listen(path, resolve));
      try {
        const env = { DOCKER_HOST: `unix://${path}`, DOCKER_TLS_VERIFY: undefined };
        await withEnv(env, () => use(engine));
      } finally {
        for (const { child } of engine.#execs.values()) child?.kill("SIGKILL");
        for (const socket of sockets) socket.destroy();
        await new Promise((resolve) => server.close(resolve));
      }
    });
  }

  /** Requests of a route, as `METHOD /path`. */
  asked(route: string): readonly ApiRequest[] {
    return this.requests.filter(({ method, path }) => `${method} ${path}`.startsWith(route));
  }

  /** Ends a container, as when its first process ends. */
  end(name: string): void {
    this.containers.get(name)?.socket?.end();
    this.containers.delete(name);
  }

  #serve(socket: Socket): void {
    let received = Buffer.alloc(0);
    const read = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]);
      const parsed = parseRequest(received);
      if (parsed === null) return;
      received = received.subarray(parsed.bytes);
      this.requests.push(parsed.request);
      this.onRequest(parsed.request);
      if (this.#hijack(parsed.request, socket)) socket.off("data", read);
      else send(socket, this.#answer(parsed.request));
    };
    socket.on("data", read);
  }

  #answer({ method, path, query, body }: ApiRequest): ApiReply {
    const route = `${method} ${path}`;
    for (const [prefix, reply] of this.replies) if (route.startsWith(prefix)) return reply;
    const [, kind, id = ""] = path.split("/");
    const name = decodeURIComponent(id);
    if (route === "GET /version") return { status: 200, json: { Version: "99.1" } };
    if (route === "GET /info") return { status: 200, json: {} };
    if (route === "GET /containers/json") return { status: 200, json: [] };
    if (route === "POST /containers/create") return this.#create(query.get("name") ?? "", body);
    if (method === "GET" && kind === "containers") {
      const { Env = [] } = (this.containers.get(id)?.config ?? {}) as { Env?: string[] };
      return { status: 200, json: { Config: { Env: [...Env, ...this.addedEnv] } } };
    }
    if (method === "POST" && path.endsWith("/exec")) return this.#createExec(body);
    if (method === "POST" && path.endsWith("/start")) return { status: 204 };
    if (kind === "exec")
      return { status: 200, json: this.inspect(this.#execs.get(id)?.exitCode ?? null) };
    if (method === "DELETE") {
      if (!this.containers.has(id)) return { status: 404, json: { message: "no such container" } };
      this.end(id);
      return { status: 204 };
    }
    if (kind === "images") {
      const found =
        this.images.get(path.slice("/images/".length, -"/json".length)) ?? this.images.get(name);
      return found === undefined
        ? { status: 404, json: { message: "no such image" } }
        : { status: 200, json: { Id: found, Config: {} } };
    }
    return { status: 500, json: { message: `no route ${route}` } };
  }

  #create(name: string, body: Buffer): ApiReply {
    const config = JSON.parse(body.toString());
    this.containers.set(name, { id: name, name, config, socket: null });
    this.onCreate(name);
    return { status: 201, json: { Id: name } };
  }

  #createExec(body: Buffer): ApiReply {
    const id = `exec${this.#next++}`;
    this.#execs.set(id, { config: JSON.parse(body.toString()), child: null, exitCode: null });
    return { status: 201, json: { Id: id } };
  }

  /** Takes the connection over for the streams of a container or a command. */
  #hijack({ method, path }: ApiRequest, socket: Socket): boolean {
    const [, kind = "", id = "", action = ""] = path.split("/");
    if (method !== "POST" || this.replies.has(`${method} ${path}`)) return false;
    const container = kind === "containers" && action === "attach" ? this.containers.get(id) : null;
    const exec = kind === "exec" && action === "start" ? this.#execs.get(id) : null;
    if (container == null && exec == null) return false;
    socket.write(
      "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n" +
        "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
    );
    if (container != null) container.socket = socket;
    if (exec != null && this.refusal !== null) refuse(exec, socket, this.refusal);
    else if (exec != null) run(exec, socket, this.mountinfo);
    return true;
  }
}

/** The real engine also writes the reason as if the command had written it, in pieces. */
function refuse(
  exec: Exec,
  socket: Socket,
  { text, exitCode }: { readonly text: string; readonly exitCode: number },
): void {
  for (const part of text.match(/.{1,50}/gs) ?? []) socket.write(frame(1, part));
  socket.end();
  exec.exitCode = exitCode;
}

function run(exec: Exec, socket: Socket, mountinfo: string): void {
  const { Cmd, Env, AttachStdin, AttachStdout, AttachStderr } = exec.config;
  const [program = "", ...args] = Cmd.map((part) =>
    part.replaceAll("/proc/self/mountinfo", mountinfo),
  );
  const env = Object.fromEntries(Env.map((entry) => entry.split(/=(.*)/s, 2)));
  const child = spawn(program, args, { env: { PATH: process.env["PATH"], ...env } });
  exec.child = child;
  child.stdin.on("error", () => undefined);
  socket.on("data", (chunk) => AttachStdin && child.stdin.write(chunk));
  socket.on("end", () => child.stdin.end());
  child.stdout.on("data", (chunk) => AttachStdout && socket.write(frame(1, chunk)));
  child.stderr.on("data", (chunk) => AttachStderr && socket.write(frame(2, chunk)));
  child.on("close", (code, signal) => {
    socket.end();
    // The real engine also knows the exit code a moment after the stream has ended.
    setTimeout(() => {
      exec.exitCode = code ?? (signal === "SIGKILL" ? 137 : 1);
    }, 2);
  });
}

/** A frame of the one stream that carries both outputs. */
export function frame(output: number, body: Buffer | string): Buffer {
  const bytes = Buffer.from(body);
  const head = Buffer.alloc(8);
  head[0] = output;
  head.writeUInt32BE(bytes.length, 4);
  return Buffer.concat([head, bytes]);
}

function send(socket: Socket, { status, json, lines, hangs = false }: ApiReply): void {
  if (lines !== undefined) {
    socket.write(`HTTP/1.1 ${status} X\r\nTransfer-Encoding: chunked\r\n\r\n`);
    for (const line of lines) {
      const text = `${JSON.stringify(line)}\n`;
      socket.write(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`);
    }
    if (!hangs) socket.write("0\r\n\r\n");
    return;
  }
  if (hangs) return;
  const body = json === undefined ? "" : JSON.stringify(json);
  socket.write(
    `HTTP/1.1 ${status} X\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

/** The first whole request of what was received; null until it is there. */
function parseRequest(
  bytes: Buffer,
): { readonly request: ApiRequest; readonly bytes: number } | null {
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd === -1) return null;
  const [first = "", ...headers] = bytes.subarray(0, headEnd).toString().split("\r\n");
  const [method = "", target = ""] = first.split(" ");
  const url = new URL(target, "http://docker");
  const start = headEnd + 4;
  const header = (name: string) =>
    headers
      .find((line) => line.toLowerCase().startsWith(`${name}:`))
      ?.slice(name.length + 1)
      .trim();
  const make = (body: Buffer, end: number) => ({
    request: {
      method,
      path: url.pathname.replace(/^\/v[\d.]+/, ""),
      query: url.searchParams,
      body,
    },
    bytes: end,
  });
  if (header("transfer-encoding") === "chunked") {
    const end = bytes.indexOf("0\r\n\r\n", start);
    return end === -1 ? null : make(bytes.subarray(start, end), end + 5);
  }
  const length = Number(header("content-length") ?? 0);
  return bytes.length < start + length
    ? null
    : make(bytes.subarray(start, start + length), start + length);
}
