import { expect, test } from "bun:test";
import { hub, parquet } from "../../../src/export/formats/parquet.ts";
import { openaiMessage } from "../../../src/export/messages.ts";
import { CONVERSATION, hopsOf, selectedOf, written } from "../made.ts";

test("a row of Parquet has the conversation and all counts of its record", async () => {
  const [first, second, third] = hopsOf(["a", 1], ["b", 2], ["a", 3]);
  const history = [{ ...first, model: "m" }, { ...second }, { ...third, model: "m" }];
  const record = { id: "7", trial: 2, score: 0.5, outcome: { x: 1 }, history: history as never };
  for (const format of [parquet, hub]) {
    const usage = { requests: 1, prompt_tokens: 10, completion_tokens: 5, cached_tokens: 4 };
    const { examples, rows } = await written(format, [
      selectedOf(CONVERSATION, { ...record, usage, cost: 0.25, simulated: true }),
    ]);
    expect(examples).toEqual([1]);
    expect(rows).toEqual([
      {
        run: "talk",
        id: "7",
        trial: 2,
        messages: CONVERSATION.turns.map(openaiMessage),
        tools: '[{"type":"function","function":{"name":"find"}}]',
        train: [false, false, false, false, true],
        score: 0.5,
        stop_reason: "completed",
        simulated: true,
        models: ["m"],
        prompt_tokens: 10,
        completion_tokens: 5,
        cached_tokens: 4,
        cache_write_tokens: 0,
        reasoning_tokens: 0,
        cost: 0.25,
        total_ms: 1.5,
        row: { question: "Why?" },
        outcome: { x: 1 },
      },
    ]);
  }
});

test("a row of Parquet without score, cost and outcome has null for them", async () => {
  const { rows } = await written(parquet, [selectedOf(CONVERSATION)]);
  expect(rows[0]).toMatchObject({ score: null, cost: null, outcome: null, models: [] });
});
