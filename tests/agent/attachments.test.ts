// Images and audio of a row in the request that an endpoint gets, and nothing else of the machine's files.

import { describe, expect, test } from "bun:test";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createAttach } from "../../src/agent/attachments.ts";
import type { ChatMessage, ContentPart } from "../../src/model/contract.ts";
import type { JsonObject } from "../../src/task/json.ts";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";

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
  (await createAttach(sources, folder)(PROMPT, row))[1]?.content;

describe("attachments", () => {
  test("stand beside the prompt, from base64, a data URL, a URL, a path, or as datasets has them", () =>
    withFolder(async (folder) => {
      await writeFile(join(folder, "a.bin"), PNG);
      const text: ContentPart = { type: "text", text: "What is it?" };
      const base64 = PNG.toString("base64");
      for (const media of [
        base64,
        `data:image/png;base64,${base64}`,
        "a.bin",
        join(folder, "a.bin"),
        { bytes: base64, path: "x.png" },
        { path: "a.bin" },
      ])
        expect(await attached({ media }, folder)).toEqual([text, image]);
      expect(await attached({ media: "https://example.org/a.png" })).toEqual([
        text,
        { type: "image_url", image_url: { url: "https://example.org/a.png" } },
      ]);
      expect(await attached({ media: [base64, WAV.toString("base64"), null] })).toEqual([
        text,
        image,
        audio,
      ]);
      expect(await attached({ media: null })).toBe("What is it?");
    }));

  test("are refused when they are no media, too large, or lead out of the folder", () =>
    withFolder(async (folder) => {
      const inside = join(folder, "inside");
      await mkdir(inside);
      await writeFile(join(folder, "secret.png"), PNG);
      await writeFile(join(inside, "a.txt"), "text");
      await writeFile(join(inside, "large.png"), Buffer.concat([PNG, Buffer.alloc(20 * 2 ** 20)]));
      await symlink(join(folder, "secret.png"), join(inside, "link.png"));
      const cases: readonly (readonly [JsonObject, string])[] = [
        [{ media: "../secret.png" }, "leads out of"],
        [{ media: join(folder, "secret.png") }, "leads out of"],
        [{ media: "link.png" }, "leads out of"],
        [{ media: "a.txt" }, "neither a PNG"],
        [{ media: "none.png" }, "there is no file"],
        [{ media: "large.png" }, "allowed: 20971520 (20 MiB)"],
        [{ media: 5 }, "found 5; allowed: a path, a URL or base64"],
        [{}, "attachment row.media"],
      ];
      for (const [row, message] of cases)
        await expect(attached(row, inside)).rejects.toMatchObject({
          code: "prompt_failed",
          message: expect.stringContaining(message),
        });
      await expect(attached({ media: "a.png" })).rejects.toThrow("set attachment_folder");
    }));

  test("reach the endpoint of a run, and only the reference stands in the record", () =>
    withFolder(async (folder) => {
      const bodies: { messages: unknown }[] = [];
      const endpoint = Bun.serve({
        hostname: "127.0.0.1",
        port: 0,
        fetch: async (request) => {
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
});
