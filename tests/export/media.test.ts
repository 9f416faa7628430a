import { expect, test } from "bun:test";
import {
  contentOf,
  markedText,
  mediaCells,
  mediaColumns,
  mediumOf,
  omitMedia,
} from "../../src/export/media.ts";
import { assistant, formatOptions, user } from "./made.ts";

const IMAGE = { kind: "image", url: "data:image/png;base64,iVBO" } as const;
const AUDIO = { kind: "audio", url: "data:audio/wav;base64,UklG" } as const;
const TURNS = [{ ...user("q"), media: [IMAGE, AUDIO, IMAGE] }, assistant("a")];

test("attachments become media with the addresses that hold them", () => {
  const part = { type: "image_url", image_url: { url: IMAGE.url } } as const;
  expect(mediumOf(part)).toEqual(IMAGE);
  const audio = { type: "input_audio", input_audio: { data: "UklG", format: "wav" } } as const;
  expect(mediumOf(audio)).toEqual(AUDIO);
});

test("the content of a data URL is its bytes, and another address has none", () => {
  expect(contentOf(AUDIO.url)).toEqual({ bytes: Buffer.from("RIF"), ending: "wav" });
  expect(contentOf("https://example.org/a.png")).toBeNull();
});

test("a text has a mark for each of its media, after the text", () => {
  expect(markedText(TURNS[0] ?? user(""))).toBe("q<image><audio><image>");
  expect(markedText(assistant(null))).toBe("");
});

test("columns and cells are those of the kinds that the format holds; others are counted", async () => {
  const omitted: Record<string, number> = {};
  const options = formatOptions({ media: new Set(["image", "audio"]) }, omitted);
  expect(mediaColumns(options, ["image", "audio"])).toEqual({
    images: { list: "image" },
    audios: { list: "audio" },
  });
  expect(await mediaCells(TURNS, options, ["image", "audio"])).toEqual({
    images: [IMAGE.url, IMAGE.url],
    audios: [AUDIO.url],
  });
  expect(omitted).toEqual({});
  expect(mediaColumns(options, ["image"])).toEqual({ images: { list: "image" } });
  expect(await mediaCells(TURNS, options, ["image"])).toEqual({ images: [IMAGE.url, IMAGE.url] });
  expect(omitted).toEqual({ audio: 1 });
  expect(await mediaCells(TURNS, options, [])).toEqual({});
  expect(omitted).toEqual({ audio: 2, images: 2 });
});

test("an example without media has empty lists beside others that have them, and else no column", async () => {
  const options = formatOptions({ media: new Set(["image"]) });
  expect(await mediaCells([user("q")], options, ["image"])).toEqual({ images: [] });
  expect(await mediaCells([user("q")], formatOptions(), ["image"])).toEqual({});
  expect(mediaColumns(formatOptions(), ["image"])).toEqual({});
});

test("media without a place in the conversation are counted by kind", () => {
  const omitted: Record<string, number> = {};
  omitMedia([IMAGE, AUDIO, IMAGE], formatOptions({}, omitted));
  expect(omitted).toEqual({ images: 2, audio: 1 });
});
