// The language server of TOML that editors run (Taplo, which is in VS Code as Even Better TOML), as
// far as tests ask it.

import { readFile } from "node:fs/promises";
import { isAbsolute } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { TaploLsp } from "@taplo/lsp";

export interface Diagnostic {
  /** From 0. */
  readonly range: { readonly start: { readonly line: number } };
  readonly message: string;
}

interface Completion {
  readonly label: string;
  readonly documentation?: { readonly value: string };
}

type Message = Parameters<TaploLsp["send"]>[0];

const QUIET = { schema: { enabled: true, catalogs: [] } };

export class Taplo {
  readonly #send: (message: Message) => void;
  readonly #waiting: Map<number, (message: Message) => void>;
  readonly #told: Map<string, (found: readonly Diagnostic[]) => void>;
  #count = 0;

  private constructor(
    send: (message: Message) => void,
    waiting: Map<number, (message: Message) => void>,
    told: Map<string, (found: readonly Diagnostic[]) => void>,
  ) {
    this.#send = send;
    this.#waiting = waiting;
    this.#told = told;
  }

  static async start(folder: string): Promise<Taplo> {
    const waiting = new Map<number, (message: Message) => void>();
    const told = new Map<string, (found: readonly Diagnostic[]) => void>();
    const onMessage = (message: Message): void => {
      const { id, method, params } = message;
      if (method === "workspace/configuration" && id !== undefined)
        lsp.send({ jsonrpc: "2.0", id, result: params.items.map(() => QUIET) });
      else if (method === "textDocument/publishDiagnostics")
        told.get(params.uri)?.(params.diagnostics);
      else if (method === undefined) waiting.get(Number(id))?.(message);
    };
    const nothing = async (bytes: Uint8Array): Promise<number> => bytes.length;
    const refuse = (): never => {
      throw new Error("this test has no network");
    };
    const lsp = await TaploLsp.initialize(
      {
        now: () => new Date(0),
        envVar: () => undefined,
        envVars: () => [],
        stdErrAtty: () => false,
        stdin: async () => new Uint8Array(),
        stdout: nothing,
        stderr: nothing,
        glob: () => [],
        readFile: (path) => readFile(path),
        writeFile: async () => undefined,
        urlToFilePath: (url) => (url.startsWith("file:") ? fileURLToPath(url) : ""),
        isAbsolute,
        cwd: () => folder,
        findConfigFile: () => undefined,
        fetch: { fetch: refuse, Headers, Request, Response },
      },
      { onMessage },
    );
    const taplo = new Taplo((message) => lsp.send(message), waiting, told);
    const rootUri = pathToFileURL(folder).href;
    const formats = { contentFormat: ["markdown"] };
    await taplo.#ask("initialize", {
      processId: null,
      rootUri,
      workspaceFolders: [{ uri: rootUri, name: "test" }],
      capabilities: { textDocument: { hover: formats } },
    });
    taplo.#tell("initialized", {});
    return taplo;
  }

  /** The problems that an editor would mark in a file with this text. */
  async open(path: string, text: string): Promise<readonly Diagnostic[]> {
    const uri = pathToFileURL(path).href;
    // The server first takes away the marks of an earlier text, and then says what it found.
    const marks: (readonly Diagnostic[])[] = [];
    this.#told.set(uri, (found) => marks.push(found));
    this.#tell("textDocument/didOpen", {
      textDocument: { uri, languageId: "toml", version: 1, text },
    });
    // A further request is answered after the file was looked at.
    await this.#ask("textDocument/documentSymbol", { textDocument: { uri } });
    return marks.at(-1) ?? [];
  }

  async hover(path: string, line: number, character: number): Promise<string> {
    const { result } = await this.#ask("textDocument/hover", at(path, line, character));
    return result?.contents.value ?? "";
  }

  async complete(path: string, line: number, character: number): Promise<readonly Completion[]> {
    const { result } = await this.#ask("textDocument/completion", at(path, line, character));
    return result ?? [];
  }

  #ask(method: string, params: unknown): Promise<Message> {
    const id = ++this.#count;
    const { promise, resolve } = Promise.withResolvers<Message>();
    this.#waiting.set(id, resolve);
    this.#send({ jsonrpc: "2.0", id, method, params });
    return promise;
  }

  #tell(method: string, params: unknown): void {
    this.#send({ jsonrpc: "2.0", method, params });
  }
}

function at(path: string, line: number, character: number): object {
  return { textDocument: { uri: pathToFileURL(path).href }, position: { line, character } };
}
