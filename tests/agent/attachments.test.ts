// Images and audio of a row in the request that an endpoint gets, and nothing else of the machine's
// files.

import { expect, test } from "bun:test";
import { mkdir, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createAttach } from "../../src/agent/attachments.ts";
import { Attachment } from "../../src/model/attachment.ts";
import { textPart } from "../../src/model/content-text.ts";
import type { ChatMessage, ContentPart } from "../../src/model/contract.ts";
import type { JsonObject } from "../../src/task/json.ts";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";

const PNG = Buffer.from("\x89PNG\r\n\x1a\nrest", "latin1");
const WAV = Buffer.from("RIFF\x00\x00\x00\x00WAVEfmt ", "latin1");
const image: ContentPart<string> = {
  type: "image_url",
  image_url: { url: `data:image/png;base64,${PNG.toString("base64")}` },
};
const audio: ContentPart<string> = {
  type: "input_audio",
  input_audio: { data: WAV.toString("base64"), format: "wav" },
};
const PROMPT: readonly ChatMessage[] = [
  { role: "system", content: "s" },
  { role: "user", content: "What is it?" },
  { role: "assistant", content: "A cat." },
];

/** The content of the prompt with its attachments, as an endpoint gets it. */
const attached = async (row: JsonObject, folder: string | null = null, sources = ["row.media"]) => {
  const content = (await createAttach(sources, folder)(PROMPT, row))[1]?.content ?? null;
  return typeof content === "object" && content !== null
    ? Promise.all(content.map((part) => textPart(part)))
    : content;
};
const fileOf = async (folder: string, name = "a.png") => {
  const [message] = await createAttach(["row.media"], folder)(PROMPT.slice(1, 2), { media: name });
  const part = (message?.content ?? [])[1] as ContentPart;
  if (part.type !== "image_url" || !(part.image_url.url instanceof Attachment))
    throw new Error("it is no attachment");
  return part.image_url.url;
};

const TEXT: ContentPart<string> = { type: "text", text: "What is it?" };

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
  const messages = await createAttach(["row.media"], null)(PROMPT, row);
  expect(messages.map(({ role }) => role)).toEqual(["system", "user", "assistant"]);
  expect([messages[0], messages[2]]).toEqual([PROMPT[0], PROMPT[2]] as ChatMessage[]);
  expect(PROMPT[1]?.content).toBe("What is it?");
});

test.each([[[{ role: "system", content: "s" }]], [[{ role: "user", content: [TEXT] }]], [[]]])(
  "without a prompt of text there is nothing to attach to (%#)",
  async (messages) => {
    const attach = createAttach(["row.media"], null);
    const row = { media: PNG.toString("base64") };
    const given = messages as unknown as ChatMessage[];
    await expect(attach(given, row)).rejects.toMatchObject({
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

test("base64 with line ends, without padding or for URLs is sent as plain base64", async () => {
  const bytes = Buffer.concat([PNG, Buffer.from([0xfb, 0xff, 0xfe, 0])]);
  const base64 = bytes.toString("base64");
  const url = `data:image/png;base64,${base64}`;
  for (const media of [
    base64,
    base64.replace(/=+$/, ""),
    `${base64.slice(0, 8)}\n${base64.slice(8)}`,
    bytes.toString("base64url"),
  ])
    expect(await attached({ media })).toEqual([TEXT, { type: "image_url", image_url: { url } }]);
});

test("files and texts that need several windows are sent whole", () =>
  withFolder(async (folder) => {
    for (const size of [196_607, 196_608, 196_609, 500_000]) {
      const bytes = Buffer.concat([PNG, Buffer.alloc(size - PNG.length).map((_, i) => i % 251)]);
      const base64 = bytes.toString("base64");
      await writeFile(join(folder, "a.png"), bytes);
      const want = [
        TEXT,
        { type: "image_url", image_url: { url: `data:image/png;base64,${base64}` } },
      ];
      for (const media of ["a.png", base64, `${base64}\n`])
        expect((await attached({ media }, folder)) as unknown[]).toEqual(want);
    }
  }));

test("an attachment is compared by its hash, and read anew whenever it is sent", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "a.png"), PNG);
    const attachment = await fileOf(folder);
    const sha256 = new Bun.CryptoHasher("sha256").update(PNG).digest("hex");
    expect(JSON.stringify({ attachment })).toBe(
      `{"attachment":"data:image/png;base64,sha256:${sha256}"}`,
    );
    const text = `data:image/png;base64,${PNG.toString("base64")}`;
    expect([await attachment.text(), await attachment.text()]).toEqual([text, text]);
    expect(attachment.textBytes).toBe(text.length);
  }));

test("decoded bytes are shared by all rows that have them", async () => {
  const media = `${PNG.toString("base64")}\n`;
  const attach = createAttach(["row.media"], null);
  const [a, b] = [await attach(PROMPT, { media }), await attach(PROMPT, { media })];
  expect(((a[1]?.content ?? []) as unknown[])[1]).toBe(((b[1]?.content ?? []) as unknown[])[1]);
});

test.each([
  ["cut short", PNG.subarray(0, -1), "it has other bytes now"],
  ["longer", Buffer.concat([PNG, PNG]), "it has 24 bytes; allowed: 20971520 (20 MiB)"],
  ["other bytes", Buffer.concat([PNG.subarray(0, -1), Buffer.from("x")]), "it has other bytes now"],
])("a file that is %s when it is sent fails its row, and no byte of it is sent", (_, now, why) =>
  withFolder(async (folder) => {
    const path = join(folder, "a.png");
    await writeFile(path, PNG);
    const attachment = await fileOf(folder);
    await writeFile(path, now);
    const pieces: string[] = [];
    const reading = (async () => {
      for await (const piece of attachment.pieces()) pieces.push(piece);
    })();
    await expect(reading).rejects.toMatchObject({
      code: "prompt_failed",
      message: `the attachment ${path} changed while it was in use: ${why}`,
    });
    expect(pieces).toEqual(["data:image/png;base64,"]);
  }),
);
