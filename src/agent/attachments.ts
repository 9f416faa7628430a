// A row's images and audio, put beside the prompt's text as content parts in the OpenAI shape. A
// row carries them by reference: as a path below the role's folder, as a URL, or as base64, either
// bare or in the form of `datasets` ({bytes, path}). Messages between hosts stay small. A file is
// read once for its hash, and again whenever it is sent.

import { createHash } from "node:crypto";
import { open, realpath, stat } from "node:fs/promises";
import { resolve, sep } from "node:path";
import { MatrixError, messageOf } from "../error.ts";
import { Attachment, type AttachmentParts, WINDOW_BYTES } from "../model/attachment.ts";
import { textPart } from "../model/content-text.ts";
import type { ChatMessage, ContentPart } from "../model/contract.ts";
import { compileExpression, type Expression } from "../recipe/expression/expression.ts";
import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";

/** The approximate upper bound of what endpoints accept. */
const ATTACHMENT_BYTES_MAX = 20 * 2 ** 20;
/** The first bytes of a file tell its format. */
const HEAD_BYTES = 64;
/** Adds a row's attachments to messages. Fails with `prompt_failed` for other media. */
export type Attach = (
  messages: readonly ChatMessage[],
  row: JsonObject,
) => Promise<readonly ChatMessage[]>;

/** Attachments in use by the hash of their bytes: rows with the same image share its bytes. */
const shared = new Map<string, WeakRef<SentPart>>();
const forgotten = new FinalizationRegistry<string>((hash) => {
  if (shared.get(hash)?.deref() === undefined) shared.delete(hash);
});

/** Reads a row's attachments. Fails with `prompt_failed` for other media. */
export type ReadAttachments = (row: JsonObject) => Promise<readonly AttachmentPart[]>;

export type AttachmentPart = Exclude<ContentPart<string>, { readonly type: "text" }>;
type SentPart = Exclude<ContentPart, { readonly type: "text" }>;

export function createAttach(sources: readonly string[], folder: string | null): Attach {
  const read = createReader(sources, (value) => partOf(value, folder));
  return async (messages, row) => {
    const parts = await read(row);
    return parts.length === 0 ? messages : withParts(messages, parts);
  };
}

/**
 * `sources` are CEL expressions over `row`: null attaches nothing, and a list attaches several.
 * Files must be in `folder`, because a row may come from anywhere.
 */
export function createReadAttachments(
  sources: readonly string[],
  folder: string | null,
): ReadAttachments {
  return createReader(
    sources,
    async (value) => (await textPart(await partOf(value, folder))) as AttachmentPart,
  );
}

/** Applies `read` to each attachment of a row. */
function createReader<T>(
  sources: readonly string[],
  read: (value: Json) => Promise<T>,
): (row: JsonObject) => Promise<readonly T[]> {
  const expressions = sources.map((source): readonly [string, Expression] => [
    source,
    compileExpression(source),
  ]);
  return async (row) => {
    const parts: T[] = [];
    for (const [source, expression] of expressions) {
      try {
        for (const value of [expression({ row })].flat())
          if (value !== null) parts.push(await read(value));
      } catch (cause) {
        throw new MatrixError("prompt_failed", `attachment ${source}: ${messageOf(cause)}`, {
          cause,
        });
      }
    }
    return parts;
  };
}

/** Attaches to the first message of the user, which is the prompt. */
function withParts(
  messages: readonly ChatMessage[],
  parts: readonly ContentPart[],
): readonly ChatMessage[] {
  const index = messages.findIndex(({ role }) => role === "user");
  const prompt = messages[index];
  if (typeof prompt?.content !== "string")
    throw new MatrixError(
      "prompt_failed",
      "there is no prompt that attachments could stand beside",
    );
  return messages.with(index, {
    ...prompt,
    content: [{ type: "text", text: prompt.content }, ...parts],
  });
}

async function partOf(value: Json, folder: string | null): Promise<SentPart> {
  if (isJsonObject(value))
    return partOf(value["bytes"] ?? value["path"] ?? value["url"] ?? false, folder);
  if (typeof value !== "string")
    throw new Error(`found ${JSON.stringify(value)}; allowed: a path, a URL or base64`);
  if (/^https?:/i.test(value)) return { type: "image_url", image_url: { url: value } };
  const [, data] = /^data:[^,]*;base64,(.*)$/s.exec(value) ?? [];
  const encoded = data ?? value;
  const isBase64 = mediaOf(Buffer.from(encoded.slice(0, HEAD_BYTES), "base64")) !== null;
  if (!isBase64) return partOfFile(await fileInside(value, folder));
  return isCanonical(encoded) ? partOfText(encoded) : partOfBytes(Buffer.from(encoded, "base64"));
}

/** Tells whether any four characters of the base64 are three bytes. */
function isCanonical(encoded: string): boolean {
  return encoded.length % 4 === 0 && !/[^A-Za-z0-9+/]/.test(encoded.replace(/={1,2}$/, ""));
}

/** A part whose bytes stay in the text of the row. */
function partOfText(encoded: string): SentPart {
  const bytes = Buffer.byteLength(encoded, "base64");
  if (bytes > ATTACHMENT_BYTES_MAX) throw tooLarge(bytes);
  const read = function* () {
    const chars = (WINDOW_BYTES / 3) * 4;
    for (let at = 0; at < encoded.length; at += chars)
      yield Buffer.from(encoded.slice(at, at + chars), "base64");
  };
  const hash = createHash("sha256");
  for (const window of read()) hash.update(window);
  const head = Buffer.from(encoded.slice(0, HEAD_BYTES * 2), "base64");
  return partWith(head, { sha256: hash.digest("hex"), bytes, read });
}

/** A part whose bytes stay in memory, once for all rows that have them. */
function partOfBytes(bytes: Buffer): SentPart {
  if (bytes.length > ATTACHMENT_BYTES_MAX) throw tooLarge(bytes.length);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const known = shared.get(sha256)?.deref();
  if (known !== undefined) return known;
  const part = partWith(bytes.subarray(0, HEAD_BYTES), {
    sha256,
    bytes: bytes.length,
    *read() {
      for (let at = 0; at < bytes.length; at += WINDOW_BYTES)
        yield bytes.subarray(at, at + WINDOW_BYTES);
    },
  });
  shared.set(sha256, new WeakRef(part));
  forgotten.register(part, sha256);
  return part;
}

/** A part whose bytes stay in its file. */
async function partOfFile(path: string): Promise<SentPart> {
  const hash = createHash("sha256");
  let bytes = 0;
  let head = Buffer.alloc(0);
  for await (const window of windowsOf(path, ATTACHMENT_BYTES_MAX)) {
    if (bytes === 0) head = Buffer.from(window.subarray(0, HEAD_BYTES));
    bytes += window.length;
    hash.update(window);
  }
  const sha256 = hash.digest("hex");
  return partWith(head, { sha256, bytes, read: () => unchanged(path, { bytes, sha256 }) });
}

function partWith(head: Buffer, content: Omit<AttachmentParts, "prefix">): SentPart {
  const media = mediaOf(head);
  if (media === null)
    throw new Error("it is neither a PNG, JPEG, GIF or WebP image nor WAV or MP3 audio");
  const { kind, format } = media;
  if (kind === "audio") {
    const data = new Attachment({ prefix: "", ...content });
    return { type: "input_audio", input_audio: { data, format } };
  }
  const url = new Attachment({ prefix: `data:image/${format};base64,`, ...content });
  return { type: "image_url", image_url: { url } };
}

/** The bytes of a file in windows. No file stays open between them, however slow a server is. */
async function* windowsOf(path: string, bytesMax: number): AsyncGenerator<Buffer> {
  for (let at = 0; ; at += WINDOW_BYTES) {
    const file = await open(path);
    try {
      const { size } = await file.stat();
      if (size > bytesMax) throw tooLarge(size);
      const window = Buffer.allocUnsafe(Math.min(WINDOW_BYTES, size - at));
      let read = 0;
      while (read < window.length) {
        const { bytesRead } = await file.read(window, read, window.length - read, at + read);
        if (bytesRead === 0) throw new Error("the file was cut short while it was read");
        read += bytesRead;
      }
      yield window;
      if (at + window.length >= size) return;
    } finally {
      await file.close();
    }
  }
}

/** The bytes of a file that is still the same. Fails with `prompt_failed` when it has changed. */
async function* unchanged(
  path: string,
  { bytes, sha256 }: Pick<AttachmentParts, "bytes" | "sha256">,
): AsyncGenerator<Buffer> {
  const hash = createHash("sha256");
  let held: Buffer | null = null;
  let came = 0;
  try {
    for await (const window of windowsOf(path, bytes)) {
      hash.update(window);
      came += window.length;
      if (held !== null) yield held;
      held = window;
    }
    if (came !== bytes || hash.digest("hex") !== sha256) throw new Error("it has other bytes now");
  } catch (cause) {
    throw new MatrixError(
      "prompt_failed",
      `the attachment ${path} changed while it was in use: ${messageOf(cause)}`,
      { cause },
    );
  }
  // The last window waits for the check, so that no changed file is sent to its end.
  if (held !== null) yield held;
}

async function fileInside(path: string, folder: string | null): Promise<string> {
  const shown = JSON.stringify(path.length > 80 ? `${path.slice(0, 80)}…` : path);
  if (folder === null)
    throw new Error(
      `${shown} is not base64 of an image or audio; for paths, set attachment_folder`,
    );
  const file = await realpath(resolve(folder, path)).catch(() => null);
  if (file === null) throw new Error(`there is no file ${shown} in ${folder}`);
  if (!file.startsWith((await realpath(folder)) + sep))
    throw new Error(`${shown} leads out of ${folder}`);
  const { size } = await stat(file);
  if (size > ATTACHMENT_BYTES_MAX) throw tooLarge(size);
  return file;
}

function tooLarge(bytes: number): Error {
  return new Error(`it has ${bytes} bytes; allowed: ${ATTACHMENT_BYTES_MAX} (20 MiB)`);
}

interface Media {
  readonly kind: "image" | "audio";
  /** The format's name in a request. */
  readonly format: string;
}

/** Looks at the first bytes, because a file's name may be wrong. */
function mediaOf(bytes: Buffer): Media | null {
  const at = (offset: number, text: string) =>
    bytes.subarray(offset, offset + text.length).equals(Buffer.from(text, "latin1"));
  if (at(0, "\x89PNG\r\n\x1a\n")) return { kind: "image", format: "png" };
  if (at(0, "\xff\xd8\xff")) return { kind: "image", format: "jpeg" };
  if (at(0, "GIF8")) return { kind: "image", format: "gif" };
  if (at(0, "RIFF") && at(8, "WEBP")) return { kind: "image", format: "webp" };
  if (at(0, "RIFF") && at(8, "WAVE")) return { kind: "audio", format: "wav" };
  const isMp3 = at(0, "ID3") || (bytes[0] === 0xff && ((bytes[1] ?? 0) & 0xe6) === 0xe2);
  return isMp3 ? { kind: "audio", format: "mp3" } : null;
}
