// The code of a recipe that `check` loads cannot read the secrets of the process that checks.

import { expect, test } from "bun:test";
import { chmod, chown, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ownCommand } from "../../../src/platform.ts";
import { withFolder } from "../../parts/folder.ts";

const NOBODY = 65_534;

const MODULE = `import { readFileSync } from "node:fs";
let found;
try {
  found = readFileSync(\`/proc/\${process.ppid}/environ\`, "utf8").includes("hidden-from-code");
} catch ({ code }) {
  found = code;
}
console.error("the parent's environment:", found);
export default () => "x";
`;

test.skipIf(process.platform !== "linux")(
  "code that check loads cannot read the environment of the process that checks",
  () =>
    withFolder(async (folder) => {
      const recipe = `name = "r"
dataset.path = "d.jsonl"
models.m = { kind = "openai", base_url = "http://127.0.0.1:9/v1", model = "x", api_key = "\${env:K_API_KEY}" }
roles.a.agent = "a.ts"
orchestrator = { pattern = "sequence", roles = ["a"] }
`;
      const files = { "r.toml": recipe, "a.ts": MODULE, "d.jsonl": '{"q":1}\n' };
      for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
      await chmod(folder, 0o755);
      // Root reads everything, so the check runs as another user.
      const isRoot = process.getuid?.() === 0;
      if (isRoot) await chown(folder, NOBODY, NOBODY);
      const { file, args } = ownCommand();
      const { stderr, stdout } = Bun.spawn([file, ...args, "check", "r.toml"], {
        cwd: folder,
        env: { ...process.env, HOME: folder, TMPDIR: folder, K_API_KEY: "hidden-from-code" },
        ...{ stdout: "pipe", stderr: "pipe" },
        ...(isRoot ? { uid: NOBODY, gid: NOBODY } : {}),
      });
      const [errors] = await Promise.all([
        new Response(stderr).text(),
        new Response(stdout).text(),
      ]);
      expect(errors).toContain("the parent's environment: EACCES");
    }),
);
