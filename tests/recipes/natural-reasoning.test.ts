// The recipe natural-reasoning: most documents end early and cheaply with a reason; the others
// become questions.

import { expect, test } from "bun:test";
import { join } from "node:path";
import type { TrajectoryRecord } from "../../src/task/record.ts";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";
import { comparable, readRecords } from "../parts/records.ts";
import { ROOT } from "../parts/repository.ts";

const RECIPE = join(ROOT, "recipes/natural-reasoning.toml");
const FAST = [
  'models.classifier.latency="1ms"',
  'models.judge.latency="1ms"',
  "models.judge.tokens_per_second=1000000",
];

async function drive(
  folder: string,
  name: string,
  ...more: readonly string[]
): Promise<TrajectoryRecord[]> {
  const { code, stdout, stderr } = await matrix(
    ["drive", RECIPE, "-o", name, "-q", ...FAST, ...more],
    { cwd: folder },
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain("expected 49 = ok 49 + failed 0 + lost 0");
  return readRecords(join(folder, name));
}

const endedAt = (records: readonly TrajectoryRecord[], stage: string) =>
  records.filter(({ outcome }) => outcome?.["filtered_by"] === stage);

test("every document ends in the stage that its labels ask for, or becomes a question", () =>
  withFolder(async (folder) => {
    const records = await drive(folder, "run", "models.classifier.with.slips=0");
    const foreign = endedAt(records, "language");
    expect(foreign.map(({ row }) => row["title"])).toContain("mixed-proof");
    expect(foreign.filter(({ row }) => row["lang"] === "en")).toHaveLength(1);
    expect(foreign).toHaveLength(23);
    for (const { outcome, usage, history } of foreign) {
      expect(outcome).toMatchObject({ language: expect.any(String), share: expect.any(Number) });
      expect({ requests: usage.requests, hops: history.length }).toEqual({
        requests: 0,
        hops: 1,
      });
    }
    const plain = endedAt(records, "filter");
    expect(plain.map(({ row }) => row["kind"])).toEqual(Array(12).fill("plain"));
    for (const { outcome, usage } of plain) {
      expect(outcome).toMatchObject({ reasoning: false, reason: expect.any(String) });
      expect(usage.requests).toBe(1);
    }
    const asked = records.filter(({ stop_reason }) => stop_reason === "completed");
    expect(asked.length + endedAt(records, "score").length).toBe(14);
    expect(asked.length).toBeGreaterThan(9);
    for (const { outcome, score, row } of asked) {
      expect(row).toMatchObject({ lang: "en", kind: "reasoning" });
      expect(outcome).toMatchObject({
        question: expect.stringMatching(/\?$/),
        reference_answer: expect.any(String),
      });
      expect(outcome?.["steps"]).not.toEqual([]);
      expect(score).toBeGreaterThan(0.5);
    }
  }));

test("a document that the classifier lets slip is ended by the judge", () =>
  withFolder(async (folder) => {
    const slipped = await drive(folder, "run", "models.classifier.with.slips=1");
    expect(endedAt(slipped, "filter").every(({ row }) => row["kind"] === "reasoning")).toBe(true);
    expect(endedAt(slipped, "score")).toHaveLength(12);
  }));

test("natural-reasoning makes the same records with the same seed", () =>
  withFolder(async (folder) => {
    const [first, second] = [
      await drive(folder, "a", "--seed", "3"),
      await drive(folder, "b", "--seed", "3"),
    ];
    expect(comparable(second)).toEqual(comparable(first));
  }));
