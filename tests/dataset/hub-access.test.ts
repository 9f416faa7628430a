// Where the address of the hub and the token come from.

import { expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hubAccess } from "../../src/dataset/hub-access.ts";
import { withFolder } from "../parts/folder.ts";

test("the hub is huggingface.co unless HF_ENDPOINT names another, without slashes at its end", () =>
  withFolder(async (folder) => {
    const access = (env: Record<string, string>) => hubAccess({ XDG_CACHE_HOME: folder, ...env });
    expect(await access({})).toEqual({ endpoint: "https://huggingface.co", token: null });
    expect(await access({ HF_ENDPOINT: "" })).toMatchObject({ endpoint: "https://huggingface.co" });
    expect(await access({ HF_ENDPOINT: "http://127.0.0.1:1//" })).toMatchObject({
      endpoint: "http://127.0.0.1:1",
    });
  }));

test("the token is that of HF_TOKEN, else of HF_TOKEN_PATH, else of the file in HF_HOME", () =>
  withFolder(async (folder) => {
    await mkdir(join(folder, "huggingface"));
    await writeFile(join(folder, "huggingface/token"), "hf_default\n");
    await writeFile(join(folder, "token"), "hf_home\n");
    await writeFile(join(folder, "path"), " hf_path\r\n");
    const tokenOf = async (env: Record<string, string>) =>
      (await hubAccess({ XDG_CACHE_HOME: folder, ...env })).token;
    const [path, home] = [{ HF_TOKEN_PATH: join(folder, "path") }, { HF_HOME: folder }];
    expect(await tokenOf({})).toBe("hf_default");
    expect(await tokenOf(home)).toBe("hf_home");
    expect(await tokenOf({ ...home, ...path })).toBe("hf_path");
    expect(await tokenOf({ ...home, ...path, HUGGING_FACE_HUB_TOKEN: "hf_old" })).toBe("hf_old");
    expect(await tokenOf({ ...path, HUGGING_FACE_HUB_TOKEN: "hf_old", HF_TOKEN: "hf_x\n" })).toBe(
      "hf_x",
    );
    expect(await tokenOf({ HF_TOKEN_PATH: join(folder, "none") })).toBeNull();
  }));
