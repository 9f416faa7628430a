// A row's images and audio, put beside the prompt's text as content parts in the OpenAI shape. A
// row carries them by reference: as a path below the role's folder, as a URL, or as base64, either
// bare or in the form of `datasets` ({bytes, path}). Files are read when the model is asked, so
// that messages between hosts stay small.

import { createHash } from "node:crypto";
import { readFile, realpath, stat } from "node:fs/promises";
import { resolve, sep } from "node:path";
import { MatrixError, messageOf } from "../error.ts";
import type { ChatMessage, ContentPart } from "../model/contract.ts";
import { compileExpression, type Expression } from "../recipe/expression/expression.ts";
import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";
import { AttachmentMemory } from "./attachment-memory.ts";

/** The approximate upper bound of what endpoints accept. */
const ATTACHMENT_BYTES_MAX = 20 * 2 ** 20;

/**
 * Adds a row's attachments to messages, and gives these to `ask`. Fails with `prompt_failed` for
 * other media. It waits while requests of this process hold many bytes of attachments.
 */
export type Attach = <T>(
  messages: readonly ChatMessage[],
  row: JsonObject,
  signal: AbortSignal,
  ask: (messages: readonly ChatMessage[]) => Promise<T>,
) => Promise<T>;

/** The bound of this process. */
const processMemory = new AttachmentMemory();
const PATH_CHARS_MAX = 4096;

/** Attachments in use by the hash of their bytes: rows with the same image share its text. */
const shared = new Map<string, WeakRef<AttachmentPart>>();
const forgotten = new FinalizationRegistry<string>((hash) => {
  if (shared.get(hash)?.deref() === undefined) shared.delete(hash);
});

/** Reads a row's attachments. Fails with `prompt_failed` for other media. */
export type ReadAttachments = (row: JsonObject) => Promise<readonly AttachmentPart[]>;

export type AttachmentPart = Exclude<ContentPart, { readonly type: "text" }>;

export function createAttach(
  sources: readonly string[],
  folder: string | null,
  memory = processMemory,
): Attach {
  const read = createReadAttachments(sources, folder);
  const measure = createReader(sources, (value) => sizeOf(value, folder));
  return async (messages, row, signal, ask) => {
    const sizes = await measure(row);
    if (sizes.length === 0) return ask(messages);
    const giveBack = await memory.take(
      sizes.reduce((sum, size) => sum + size, 0),
      signal,
    );
    try {
      return await ask(withParts(messages, await read(row)));
    } finally {
      giveBack();
    }
  };
}

/** About the bytes of an attachment, without reading it; 0 for one that is not sent. */
async function sizeOf(value: Json, folder: string | null): Promise<number> {
  if (isJsonObject(value))
    return sizeOf(value["bytes"] ?? value["path"] ?? value["url"] ?? false, folder);
  if (typeof value !== "string" || /^https?:/i.test(value)) return 0;
  if (folder === null || value.length > PATH_CHARS_MAX) return value.length;
  const found = await stat(resolve(folder, value)).catch(() => null);
  return found?.size ?? value.length;
}

/**
 * `sources` are CEL expressions over `row`: null attaches nothing, and a list attaches several.
 * Files must be in `folder`, because a row may come from anywhere.
 */
export function createReadAttachments(
  sources: readonly string[],
  folder: string | null,
): ReadAttachments {
  return createReader(sources, (value) => partOf(value, folder));
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

async function partOf(value: Json, folder: string | null): Promise<AttachmentPart> {
  if (isJsonObject(value))
    return partOf(value["bytes"] ?? value["path"] ?? value["url"] ?? false, folder);
  if (typeof value !== "string")
    throw new Error(`found ${JSON.stringify(value)}; allowed: a path, a URL or base64`);
  if (/^https?:/i.test(value)) return { type: "image_url", image_url: { url: value } };
  const [, data] = /^data:[^,]*;base64,(.*)$/s.exec(value) ?? [];
  const encoded = data ?? value;
  const bytes =
    mediaOf(Buffer.from(encoded.slice(0, 64), "base64")) === null
      ? await readInside(value, folder)
      : Buffer.from(encoded, "base64");
  if (bytes.length > ATTACHMENT_BYTES_MAX) throw tooLarge(bytes.length);
  const media = mediaOf(bytes);
  if (media === null)
    throw new Error("it is neither a PNG, JPEG, GIF or WebP image nor WAV or MP3 audio");
  const hash = createHash("sha256").update(bytes).digest("base64");
  const known = shared.get(hash)?.deref();
  if (known !== undefined) return known;
  const part = encode(bytes, media);
  shared.set(hash, new WeakRef(part));
  forgotten.register(part, hash);
  return part;
}

function encode(bytes: Buffer, { kind, format }: Media): AttachmentPart {
  const text = bytes.toString("base64");
  return kind === "image"
    ? { type: "image_url", image_url: { url: `data:image/${format};base64,${text}` } }
    : { type: "input_audio", input_audio: { data: text, format } };
}

async function readInside(path: string, folder: string | null): Promise<Buffer> {
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
  return readFile(file);
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
