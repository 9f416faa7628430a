// The files from which editors and tests know what a recipe and its modules may say.

import pythonText from "../../../sandboxes/matrix_agent.py" with { type: "text" };
import dataText from "../../../sandboxes/matrix_data.py" with { type: "text" };
import typesText from "./matrix.d.ts.txt" with { type: "text" };
import codeText from "./matrix.js.txt" with { type: "text" };
import recipeSchemaText from "./recipe.schema.json.txt" with { type: "text" };
import recordSchemaText from "./record.schema.json.txt" with { type: "text" };
import { type Files, WRITTEN } from "./written.ts";

export const LANGUAGES = ["python", "typescript"] as const;
export type Language = (typeof LANGUAGES)[number];

const SCHEMAS: Files = new Map([
  ["recipe.schema.json", recipeSchemaText],
  ["record.schema.json", recordSchemaText],
]);
const BY_LANGUAGE: Readonly<Record<Language, Files>> = {
  python: new Map([
    ["matrix_agent.py", `# ${WRITTEN}\n${pythonText}`],
    ["matrix_data.py", `# ${WRITTEN}\n${dataText}`],
  ]),
  typescript: new Map([
    ["matrix.d.ts", typesText],
    ["matrix.js", codeText],
  ]),
};

/** The schemas, and what modules in these languages import. */
export function editorFiles(languages: readonly Language[]): Files {
  return new Map([...SCHEMAS, ...languages.flatMap((language) => [...BY_LANGUAGE[language]])]);
}
