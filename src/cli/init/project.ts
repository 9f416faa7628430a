// The files of a project besides its recipe: files for editors, for the tests, and for git.

import { editorFiles, type Language } from "../editor/editor-files.ts";

const GITIGNORE = `runs/
__pycache__/
.pytest_cache/
node_modules/
`;

const PYPROJECT = `[tool.pytest.ini_options]
pythonpath = [".", ".matrix"]

[tool.pyright]
extraPaths = [".matrix"]
`;

const TSCONFIG = `{
  "compilerOptions": {
    "strict": true,
    "noEmit": true,
    "target": "esnext",
    "module": "preserve",
    "allowImportingTsExtensions": true,
    "skipLibCheck": true,
    "paths": { "matrix": ["./.matrix/matrix"] }
  }
}
`;

const PACKAGE = `{
  "private": true,
  "type": "module",
  "devDependencies": { "@types/bun": "latest" }
}
`;

/** Files that a folder may have already. Those are kept as they are. */
export function settingsOf(languages: readonly Language[]): ReadonlyMap<string, string> {
  return new Map([
    [".gitignore", GITIGNORE],
    ...(languages.includes("python") ? [["pyproject.toml", PYPROJECT] as const] : []),
    ...(languages.includes("typescript")
      ? [["tsconfig.json", TSCONFIG] as const, ["package.json", PACKAGE] as const]
      : []),
  ]);
}

/** Files for editors, in their folder. */
export function editorFilesOf(languages: readonly Language[]): ReadonlyMap<string, string> {
  return new Map(
    [...editorFiles(languages)].map(([name, text]) => [`.matrix/${name}`, text] as const),
  );
}
