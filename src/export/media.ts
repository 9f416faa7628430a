// Images and audio of conversations. They come from the attachments of the assistant's role, and
// follow the text of the prompt, as the model was shown them.

import type { AttachmentPart } from "../agent/attachments.ts";
import type { Columns, FormatOptions, Medium, TableRow, Turn } from "./contract.ts";

export function mediumOf(part: AttachmentPart): Medium {
  if (part.type === "image_url") return { kind: "image", url: part.image_url.url };
  const { data, format } = part.input_audio;
  return { kind: "audio", url: `data:audio/${format};base64,${data}` };
}

/** The bytes of a `data:` URL, and the ending of a file with them; null for another address. */
export function contentOf(url: string): { readonly bytes: Buffer; readonly ending: string } | null {
  const [, ending, data] = /^data:\w+\/(\w+);base64,(.*)$/s.exec(url) ?? [];
  if (ending === undefined || data === undefined) return null;
  return { bytes: Buffer.from(data, "base64"), ending };
}

/** The place of each medium in the text, as most trainers mark it: after the text. */
export function markedText({ content, media = [] }: Turn): string {
  return `${content ?? ""}${media.map(({ kind }) => `<${kind}>`).join("")}`;
}

/** The columns for the kinds of media that the examples have. */
export function mediaColumns({ media }: FormatOptions, kinds: readonly Medium["kind"][]): Columns {
  return Object.fromEntries(
    kinds.filter((kind) => media.has(kind)).map((kind) => [COLUMN[kind], { list: kind }]),
  );
}

const COLUMN = { image: "images", audio: "audios" } as const;

/**
 * The cells of `mediaColumns`. Media of other kinds are counted as omitted. `place` tells what
 * stands in a cell for a medium, by default its URL.
 */
export async function mediaCells(
  turns: readonly Turn[],
  options: FormatOptions,
  kinds: readonly Medium["kind"][],
  place: (medium: Medium) => Promise<string> = async ({ url }) => url,
): Promise<TableRow> {
  const cells: Record<string, readonly string[]> = {};
  for (const kind of options.media) {
    const media = turns.flatMap(({ media: of = [] }) => of.filter((one) => one.kind === kind));
    if (kinds.includes(kind)) cells[COLUMN[kind]] = await Promise.all(media.map(place));
    else omitMedia(media, options);
  }
  return cells;
}

export function omitMedia(media: readonly Medium[], { omit }: Pick<FormatOptions, "omit">): void {
  for (const { kind } of media) omit(kind === "image" ? "images" : "audio", 1);
}
