// Images and audio of a row in the request that an endpoint gets, and nothing else of the machine's
// files.

import { expect, test } from "bun:test";
import { mkdir, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AttachmentMemory } from "../../src/agent/attachment-memory.ts";
import { createAttach } from "../../src/agent/attachments.ts";
import type { ChatMessage, ContentPart } from "../../src/model/contract.ts";
import type { JsonObject } from "../../src/task/json.ts";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";
import { until } from "../parts/until.ts";

const PNG = Buffer.from("\x89PNG\r\n\x1a\nrest", "latin1");
const WAV = Buffer.from("RIFF\x00\x00\x00\x00WAVEfmt ", "latin1");
const image: ContentPart = {
  type: "image_url",
  image_url: { url: `data:image/png;base64,${PNG.toString("base64")}` },
};
const audio: ContentPart = {
  type: "input_audio",
  input_audio: { data: WAV.toString("base64"), format: "wav" },
};
const PROMPT: readonly ChatMessage[] = [
  { role: "system", content: "s" },
  { role: "user", content: "What is it?" },
  { role: "assistant", content: "A cat." },
];

const attached = async (row: JsonObject, folder: string | null = null, sources = ["row.media"]) =>
  (await createAttach(sources, folder)(PROMPT, row, SIGNAL, same))[1]?.content;
const SIGNAL = new AbortController().signal;
const same = async (messages: readonly ChatMessage[]) => messages;

const TEXT: ContentPart = { type: "text", text: "What is it?" };

test("an attachment comes from base64, a data URL, a path, or the form of datasets", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "a.bin"), PNG);
    const base64 = PNG.toString("base64");
    for (const media of [
      base64,
      `data:image/png;base64,${base64}`,
      `data:anything;base64,${base64}`,
      "a.bin",
      join(folder, "a.bin"),
      { bytes: base64, path: "x.png" },
      { bytes: null, path: "a.bin" },
      { path: "a.bin" },
      { url: base64 },
    ])
      expect(await attached({ media }, folder)).toEqual([TEXT, image]);
  }));

test.each(["https://example.org/a.png", "HTTP://example.org/a"])(
  "the URL %s is passed on without a download",
  async (url) => {
    expect(await attached({ media: url })).toEqual([
      TEXT,
      { type: "image_url", image_url: { url } },
    ]);
  },
);

test("a list attaches several, null attaches nothing, and several sources follow each other", async () => {
  const [png, wav] = [PNG.toString("base64"), WAV.toString("base64")];
  expect(await attached({ media: [png, wav, null] })).toEqual([TEXT, image, audio]);
  expect(await attached({ media: null })).toBe("What is it?");
  expect(await attached({ media: [] })).toBe("What is it?");
  expect(await attached({ a: png, b: wav }, null, ["row.a", "row.b"])).toEqual([
    TEXT,
    image,
    audio,
  ]);
});

test("attachments go to the first message of the user, and the others stay", async () => {
  const row = { media: PNG.toString("base64") };
  const messages = await createAttach(["row.media"], null)(PROMPT, row, SIGNAL, same);
  expect(messages).toEqual([
    PROMPT[0] as ChatMessage,
    { role: "user", content: [TEXT, image] },
    PROMPT[2] as ChatMessage,
  ]);
  expect(PROMPT[1]?.content).toBe("What is it?");
});

test.each([[[{ role: "system", content: "s" }]], [[{ role: "user", content: [TEXT] }]], [[]]])(
  "without a prompt of text there is nothing to attach to (%#)",
  async (messages) => {
    const attach = createAttach(["row.media"], null);
    const row = { media: PNG.toString("base64") };
    const given = messages as unknown as ChatMessage[];
    await expect(attach(given, row, SIGNAL, same)).rejects.toMatchObject({
      code: "prompt_failed",
      message: "there is no prompt that attachments could stand beside",
    });
  },
);

test.each([
  ["\x89PNG\r\n\x1a\n", "data:image/png;base64,"],
  ["\xff\xd8\xff\xe0", "data:image/jpeg;base64,"],
  ["GIF89a", "data:image/gif;base64,"],
  ["RIFF\x00\x00\x00\x00WEBPVP8 ", "data:image/webp;base64,"],
])("the bytes %j are an image of their own format", async (head, prefix) => {
  const bytes = Buffer.from(`${head}rest`, "latin1").toString("base64");
  expect(await attached({ media: bytes })).toEqual([
    TEXT,
    { type: "image_url", image_url: { url: `${prefix}${bytes}` } },
  ]);
});

test.each([
  ["RIFF\x00\x00\x00\x00WAVEfmt ", "wav"],
  ["ID3\x04", "mp3"],
  ["\xff\xfb\x90\x64", "mp3"],
  ["\xff\xf3\x90\x64", "mp3"],
  ["\xff\xe2\x90\x64", "mp3"],
])("the bytes %j are audio in the format %s", async (head, format) => {
  const data = Buffer.from(`${head}rest`, "latin1").toString("base64");
  expect(await attached({ media: data })).toEqual([
    TEXT,
    { type: "input_audio", input_audio: { data, format } },
  ]);
});

test.each([
  "\xff\xe0\x90\x64",
  "\xff\xfd\x90\x64",
  "\xfe\xfb\x90",
  "RIFF\x00\x00\x00\x00AVI ",
  "PNG",
])("the bytes %j are neither image nor audio", async (head) => {
  const data = Buffer.from(`${head}rest`, "latin1").toString("base64");
  await expect(attached({ media: data })).rejects.toThrow("is not base64 of an image or audio");
});

test("a file of 20 MiB is attached, and one byte more is too large, as bytes too", () =>
  withFolder(async (folder) => {
    const most = Buffer.concat([PNG, Buffer.alloc(20 * 2 ** 20 - PNG.length)]);
    const more = Buffer.concat([most, Buffer.alloc(1)]);
    await writeFile(join(folder, "most.png"), most);
    // A file that no process could read at once is not read.
    await writeFile(join(folder, "huge.png"), "");
    await truncate(join(folder, "huge.png"), 2 ** 33);
    await expect(attached({ media: "huge.png" }, folder)).rejects.toMatchObject({
      message: expect.stringContaining(`it has ${2 ** 33} bytes`),
    });
    await writeFile(join(folder, "more.png"), more);
    expect(await attached({ media: "most.png" }, folder)).toHaveLength(2);
    const message = "attachment row.media: it has 20971521 bytes; allowed: 20971520 (20 MiB)";
    for (const media of ["more.png", more.toString("base64")])
      await expect(attached({ media }, folder)).rejects.toMatchObject({ message });
  }));

test("attachments that are no media, missing, or outside of the folder are refused", () =>
  withFolder(async (folder) => {
    const inside = join(folder, "inside");
    await mkdir(inside);
    await mkdir(join(folder, "inside-too"));
    await writeFile(join(folder, "secret.png"), PNG);
    await writeFile(join(folder, "inside-too/secret.png"), PNG);
    await writeFile(join(inside, "a.txt"), "text");
    await symlink(join(folder, "secret.png"), join(inside, "link.png"));
    const long = "x".repeat(100);
    const cases: readonly (readonly [JsonObject, string])[] = [
      [{ media: "../secret.png" }, `"../secret.png" leads out of ${inside}`],
      [{ media: join(folder, "secret.png") }, "leads out of"],
      [{ media: "../inside-too/secret.png" }, "leads out of"],
      [{ media: "link.png" }, "leads out of"],
      [{ media: "a.txt" }, "it is neither a PNG, JPEG, GIF or WebP image nor WAV or MP3 audio"],
      [{ media: "none.png" }, `there is no file "none.png" in ${inside}`],
      [{ media: long }, `there is no file "${"x".repeat(80)}…" in ${inside}`],
      [{ media: 5 }, "found 5; allowed: a path, a URL or base64"],
      [{ media: {} }, "found false; allowed: a path, a URL or base64"],
      [{}, "attachment row.media: "],
    ];
    for (const [row, message] of cases)
      await expect(attached(row, inside)).rejects.toMatchObject({
        code: "prompt_failed",
        message: expect.stringContaining(message),
        cause: expect.anything(),
      });
    await expect(attached({ media: "a.png" })).rejects.toThrow(
      '"a.png" is not base64 of an image or audio; for paths, set attachment_folder',
    );
  }));

test("attachments reach the endpoint of a run, and the record keeps only the reference", () =>
  withFolder(async (folder) => {
    const bodies: { messages: unknown }[] = [];
    const endpoint = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: async (request) => {
        if (request.method === "GET") return Response.json({ data: [{ id: "vision" }] });
        bodies.push((await request.json()) as { messages: unknown });
        return Response.json({
          choices: [{ message: { role: "assistant", content: "A cat." }, finish_reason: "stop" }],
        });
      },
    });
    try {
      await mkdir(join(folder, "images"));
      await writeFile(join(folder, "images/cat.png"), PNG);
      await writeFile(join(folder, "d.jsonl"), '{"image":"cat.png"}\n');
      await writeFile(
        join(folder, "r.toml"),
        `name = "v"\ndataset.path = "d.jsonl"\n[models.m]\nkind = "openai"\nbase_url = "${endpoint.url}v1"\nmodel = "vision"\n[roles.viewer]\nagent = "llm"\nmodel = "m"\nprompt = { text = "What is it?" }\nattachments = ["row.image"]\nattachment_folder = "images"\n[orchestrator]\npattern = "sequence"\nroles = ["viewer"]\n`,
      );
      const { stdout } = await matrix(["drive", "r.toml", "-q"], { cwd: folder });
      expect(stdout).toContain("expected 1 = ok 1");
      expect(bodies[0]?.messages).toEqual([
        { role: "user", content: [{ type: "text", text: "What is it?" }, image] },
      ]);
      const shown = await matrix(["show", "runs/v", "--json"], { cwd: folder });
      expect(shown.stdout).not.toContain("base64");
    } finally {
      await endpoint.stop(true);
    }
  }));

test("requests hold what their attachments take until they are answered, and share equal ones", () =>
  withFolder(async (folder) => {
    const large = Buffer.concat([PNG, Buffer.alloc(1000)]);
    await writeFile(join(folder, "a.png"), large);
    await writeFile(join(folder, "b.png"), large);
    const memory = new AttachmentMemory(1500);
    const attach = createAttach(["row.media"], folder, memory);
    const open: (() => void)[] = [];
    const seen: (readonly ChatMessage[])[] = [];
    const hold = (messages: readonly ChatMessage[]) => {
      seen.push(messages);
      return new Promise<void>((resolve) => open.push(resolve));
    };
    const first = attach(PROMPT, { media: "a.png" }, SIGNAL, hold);
    await until(() => seen.length === 1, "the first request is sent");
    expect(memory.bytes).toBe(large.length);
    const second = attach(PROMPT, { media: "b.png" }, SIGNAL, hold);
    const none = await attach(PROMPT, { media: null }, SIGNAL, same);
    expect([none, seen.length]).toEqual([PROMPT, 1]);
    open[0]?.();
    await first;
    await until(() => seen.length === 2, "the second request is sent");
    open[1]?.();
    await second;
    expect(memory.bytes).toBe(0);
    const [a, b] = seen.map((messages) => (messages[1]?.content ?? [])[1]);
    expect(a).toBeObject();
    expect(a).toBe(b as ContentPart);
    const failing = attach(PROMPT, { media: "a.png" }, SIGNAL, () =>
      Promise.reject(new Error("x")),
    );
    await expect(failing).rejects.toThrow("x");
    await expect(attach(PROMPT, { media: "no.png" }, SIGNAL, same)).rejects.toThrow("no.png");
    expect(memory.bytes).toBe(0);
  }));
