// Generates what `matrix types` writes for editors and tests: the types and the code of
// `import … from "matrix"`, and the JSON Schemas of recipes and records.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { rolldown } from "rolldown";
import { dts } from "rolldown-plugin-dts";
import { WRITTEN } from "../../src/cli/editor/written.ts";
import { recipeJsonSchema, recordJsonSchema } from "./json-schema.ts";

const ROOT = join(import.meta.dir, "../..");
const SDK = join(ROOT, "src/sdk.ts");
export const FOLDER = join(ROOT, "src/cli/editor");

const HEADER = `// ${WRITTEN}\n`;

/** The generated texts by the name of their file in FOLDER. */
export async function renderEditorFiles(): Promise<Readonly<Record<string, string>>> {
  return {
    "matrix.d.ts.txt": await renderTypes(),
    "matrix.js.txt": await renderCode(),
    "recipe.schema.json.txt": `${JSON.stringify(recipeJsonSchema(), null, 1)}\n`,
    "record.schema.json.txt": `${JSON.stringify(recordJsonSchema(), null, 1)}\n`,
  };
}

/** The types of the sdk and all that they need, in one file. */
async function renderTypes(): Promise<string> {
  const plugin = dts({
    dtsOnly: true,
    tsconfig: join(import.meta.dir, "texts/sdk.tsconfig.json"),
    tsgo: {},
  });
  const bundle = await rolldown({ input: { matrix: SDK }, plugins: [plugin], logLevel: "silent" });
  const { output } = await bundle.generate({ format: "es" });
  await bundle.close();
  const file = output.find(({ fileName }) => fileName === "matrix.d.ts");
  if (file?.type !== "chunk") throw new Error("the types of src/sdk.ts were not made");
  // The bundler imports its own runtime, which types do not need.
  return HEADER + file.code.replace(/^import .* from "\.\/rolldown-runtime.*\n/m, "");
}

/** The functions of the sdk, so that `bun test` can import a rule. */
async function renderCode(): Promise<string> {
  const built = await Bun.build({
    entrypoints: [SDK],
    target: "browser",
    minify: { syntax: true },
  });
  const [output] = built.outputs;
  if (output === undefined) throw new Error("the code of src/sdk.ts was not made");
  // Comments of the bundler name files of this project.
  return HEADER + (await output.text()).replaceAll(/^\/\/ .*\n/gm, "");
}

if (import.meta.main)
  for (const [name, text] of Object.entries(await renderEditorFiles()))
    writeFileSync(join(FOLDER, name), text);
