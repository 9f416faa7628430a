// Folders laid out as Hugging Face datasets: the files of every config and split are those that the
// `datasets` library itself finds. Drawn layouts print their seed when they differ.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseCard } from "../../../src/dataset/layout/card.ts";
import { chooseFiles } from "../../../src/dataset/layout/choose.ts";
import { ofOneFormat } from "../../../src/dataset/layout/splits.ts";
import { createRandom } from "../../../src/task/seed.ts";
import { withFolder } from "../../parts/folder.ts";
import { PYTHON } from "../export/python.ts";

interface Made {
  readonly files: readonly string[];
  readonly texts: Readonly<Record<string, string>>;
}

type Splits = Readonly<Record<string, readonly string[]>> | { readonly error: string };

interface Found {
  readonly default: Splits;
  readonly configs: Readonly<Record<string, Splits>>;
}

/** What `datasets` finds in each layout; null where the Python environment is missing. */
async function findWithPython(layouts: readonly Made[]): Promise<readonly Found[] | null> {
  if (!existsSync(PYTHON)) {
    console.log("skipped: no Python environment: run scripts/python-env");
    return null;
  }
  return withFolder(async (folder) => {
    const child = Bun.spawn([PYTHON, join(import.meta.dir, "layouts.py")], {
      env: { ...process.env, MATRIX_TEST_FOLDER: folder, HF_HOME: join(folder, "home") },
      stdin: new Blob([JSON.stringify(layouts)]),
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    if (code !== 0) throw new Error(`layouts.py failed: ${stderr.slice(-3000)}`);
    return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Found[];
  });
}

/** The files that each of these paths chooses, or the message of its refusal. */
function chosen({ files, texts }: Made, wanted: string): readonly string[] | string {
  try {
    const paths = [...files, ...Object.keys(texts)];
    const card = parseCard("root", new Map(Object.entries(texts)));
    return chooseFiles({ root: "root", paths, card }, wanted);
  } catch (thrown) {
    return (thrown as Error).message;
  }
}

/**
 * Asserts that every split has the files that the library finds, each of them once. The library
 * does not load a config with files of several formats; here, those of the most frequent are read.
 */
function expectSame(made: Made, config: string, splits: Splits): void {
  for (const [split, files] of Object.entries(splits)) {
    const wanted = config === "" ? split : `${config}/${split}`;
    if (files.length > 0)
      expect({ made, wanted, files: chosen(made, wanted) }).toEqual({
        made,
        wanted,
        files: ofOneFormat([...new Set(files as readonly string[])]),
      });
  }
}

function compare(layouts: readonly Made[], found: readonly Found[]): void {
  for (const [index, made] of layouts.entries()) {
    const { default: splits, configs } = found[index] as Found;
    if (!("error" in splits)) expectSame(made, "", splits);
    else if (String(splits.error).includes("Config name is missing"))
      expect(chosen(made, "")).toContain("has several configs: ");
    for (const [config, ofConfig] of Object.entries(configs))
      if (!("error" in ofConfig)) expectSame(made, config, ofConfig);
  }
}

const card = (configs: string) => ({
  "README.md": `---\nlicense: mit\nconfigs:\n${configs}---\n# A\n`,
});
const LANGUAGES = ["en/train.jsonl", "en/test.jsonl", "fr/train.jsonl", "fr/dev.jsonl"];

const LAYOUTS: readonly Made[] = [
  { files: LANGUAGES, texts: {} },
  {
    files: LANGUAGES,
    texts: card("- config_name: en\n  data_dir: en\n- config_name: fr\n  data_files: fr/*\n"),
  },
  {
    files: LANGUAGES,
    texts: card(
      "- config_name: en\n  data_dir: en\n- {config_name: fr, data_dir: fr, default: true}\n",
    ),
  },
  {
    files: LANGUAGES,
    texts: card(
      "- config_name: default\n  data_files: en/*\n- config_name: fr\n  data_dir: ./fr/\n",
    ),
  },
  {
    files: LANGUAGES,
    texts: {
      "README.md":
        "---\nconfigs:\n- {config_name: en, data_dir: en}\n- {config_name: fr, data_dir: fr}\n" +
        "dataset_info:\n  config_name: fr\n  features: []\n---\n",
    },
  },
  {
    files: LANGUAGES,
    texts: card(
      "- config_name: all\n  data_files:\n  - split: learn\n    path:\n    - en/train.jsonl\n" +
        "    - fr/*.jsonl\n  - split: held.out\n    path: '*/t[e-f]st.*'\n",
    ),
  },
  {
    files: LANGUAGES,
    texts: { ".huggingface.yaml": "configs:\n- config_name: fr\n  data_files: fr/dev.jsonl\n" },
  },
  { files: ["main/test-00000-of-00001.parquet", "main/train-00000-of-00001.parquet"], texts: {} },
  {
    files: [
      "data/train-00000-of-00002.parquet",
      "data/train-00001-of-00002-a1b2c3.parquet",
      "data/test_sft-00000-of-00001.parquet",
      "train.parquet",
      "data/x.parquet",
    ],
    texts: {},
  },
  { files: ["a.jsonl", "b.csv", "c.csv"], texts: {} },
  { files: ["a.jsonl", "a.parquet"], texts: {} },
  { files: ["a.json", "b.jsonl", "config.json"], texts: { "dataset_infos.json": "{}" } },
  { files: ["test/train.jsonl", "train.jsonl"], texts: {} },
  {
    files: ["train-test.jsonl", "my_training.set.jsonl", "x dev 2.jsonl", "TRAIN.jsonl"],
    texts: {},
  },
];

test("configs and splits of hand-made layouts have the files that datasets finds", async () => {
  const found = await findWithPython(LAYOUTS);
  if (found === null) return;
  const refused = found.filter(({ default: splits }) => "error" in splits);
  // In these layouts a config must be named.
  expect(refused.map(({ configs }) => Object.keys(configs))).toEqual([["en", "fr"]]);
  compare(LAYOUTS, found);
}, 120_000);

const FOLDERS = ["", "", "data", "en", "train", "test", "dev-set", "my val", "x/train_1"];
const ODD_FOLDERS = [...FOLDERS, ".hidden", "__special__", "data/train", "en/test", "retest"];
const NAMES = [
  "train",
  "test",
  "data",
  "valid_0",
  "eval",
  "contest",
  "trained",
  "TEST",
  "my-train-1",
];
const ODD_NAMES = [
  ...NAMES,
  ...["train2", "dev", ".hidden", "train-00000-of-00002", "train-00001-of-00002", "a.train"],
  ...["random_split-00000-of-00001", "x testing", "evaluation.final", "val"],
];
const ENDINGS = [".jsonl", ".csv", ".parquet", ".json", ".jsonl.gz"];
const CONFIGS = [
  "- config_name: a\n  data_dir: data\n- config_name: b\n  data_files: '*.*'\n",
  "- config_name: only\n  data_files: '**/train*'\n",
  "- config_name: en\n  data_files:\n  - split: x\n    path: ['en/**', 'data/*']\n  - split: y\n    path: '**/te?t*/*'\n- config_name: default\n",
];

/** A random folder of a few files, most often of one format, and sometimes with a card. */
function draw(seed: number): Made {
  const random = createRandom(seed);
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
  const isPlain = random() < 0.5;
  const ending = pick(ENDINGS);
  const files = Array.from({ length: 1 + Math.floor(random() * 7) }, () => {
    const folder = pick(isPlain ? FOLDERS : ODD_FOLDERS);
    const name = pick(isPlain ? NAMES : ODD_NAMES);
    const own = random() < 0.85 ? ending : pick(ENDINGS);
    return `${folder === "" ? "" : `${folder}/`}${name}${own}`;
  });
  return { files: [...new Set(files)], texts: random() < 0.3 ? card(pick(CONFIGS)) : {} };
}

test("configs and splits of 150 drawn layouts have the files that datasets finds", async () => {
  const layouts = Array.from({ length: 150 }, (_, seed) => draw(seed));
  const found = await findWithPython(layouts);
  if (found === null) return;
  const understood = found.filter(({ default: splits }) => !("error" in splits));
  expect(understood.length).toBeGreaterThan(90);
  compare(layouts, found);
}, 120_000);
