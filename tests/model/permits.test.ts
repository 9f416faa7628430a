// Permits of one process: what it asks its source for, who goes when, and that no settled token is
// lost while the source is away.

import { expect, test } from "bun:test";
import { type PermitRequest, type PermitSource, ProcessPermits } from "../../src/model/permits.ts";
import { listenersOn } from "../parts/listeners.ts";
import { until } from "../parts/until.ts";

const patient = new AbortController().signal;

/**
 * A source that notes what it is asked and answers as the test says; by default every request may
 * go at once.
 */
class TestSource implements PermitSource {
  readonly asked: (PermitRequest & { readonly model: string })[] = [];
  answer: (request: PermitRequest) => readonly number[] | Promise<readonly number[]> = ({
    tokens,
  }) => tokens.map(() => 0);

  async ask(model: string, request: PermitRequest): Promise<readonly number[]> {
    this.asked.push({ model, ...request });
    return await this.answer(request);
  }

  get wanted(): readonly (readonly number[])[] {
    return this.asked.filter(({ tokens }) => tokens.length > 0).map(({ tokens }) => tokens);
  }

  get settled(): readonly number[] {
    return this.asked.filter(({ tokens }) => tokens.length === 0).map(({ settled }) => settled);
  }
}

test("a request to a model without a rate goes at once, and its source is not asked", async () => {
  const source = new TestSource();
  const permits = new ProcessPermits(["rated"], source);
  const estimate = () => expect.unreachable("nothing needs to be estimated");
  expect(await permits.take("free", estimate, patient)).toBe(0);
  permits.settle("free", 10, 20);
  expect(source.asked).toEqual([]);
});

test("a permit takes the estimate rounded up, and names the model", async () => {
  const source = new TestSource();
  const permits = new ProcessPermits(["m"], source);
  expect(await permits.take("m", () => 10.2, patient)).toBe(11);
  expect(source.asked).toEqual([{ model: "m", tokens: [11], settled: 0 }]);
});

test("waiting requests are asked for together, in order, and estimated anew", async () => {
  const source = new TestSource();
  const permits = new ProcessPermits(["m"], source);
  const answers: ((waits: readonly number[]) => void)[] = [];
  source.answer = () => new Promise((resolve) => answers.push(resolve));
  let size = 1;
  const gone: string[] = [];
  const take = (name: string) =>
    permits.take("m", () => size, patient).then((tokens) => gone.push(`${name} ${tokens}`));
  const all = ["a", "b", "c"].map(take);
  await until(() => answers.length === 1, "the first request is asked for");
  size = 5;
  answers[0]?.([0]);
  await until(() => answers.length === 2, "the others are asked for");
  expect(gone).toEqual(["a 1"]);
  answers[1]?.([0]);
  await until(() => answers.length === 3, "the last is asked for");
  answers[2]?.([0]);
  await Promise.all(all);
  expect(source.wanted).toEqual([[1], [5, 5], [5]]);
  expect(gone).toEqual(["a 1", "b 5", "c 5"]);
});

test("a source that has nothing for now is asked again for the same requests", async () => {
  const source = new TestSource();
  const permits = new ProcessPermits(["m"], source);
  source.answer = ({ tokens }) => (source.asked.length < 3 ? [] : tokens.map(() => 0));
  expect(await permits.take("m", () => 4, patient)).toBe(4);
  expect(source.wanted).toEqual([[4], [4], [4]]);
});

test("at most a thousand requests are asked for at once", async () => {
  const source = new TestSource();
  const permits = new ProcessPermits(["m"], source);
  source.answer = async ({ tokens }) => tokens.map(() => 0);
  await Promise.all(Array.from({ length: 2002 }, () => permits.take("m", () => 1, patient)));
  // The first request is asked for before the others have arrived.
  expect(source.wanted.map(({ length }) => length)).toEqual([1, 1000, 1000, 1]);
});

test("each request goes after the wait that its own permit names", async () => {
  const source = new TestSource();
  const permits = new ProcessPermits(["m"], source);
  const gone: string[] = [];
  const waits = [40, 20, 0];
  source.answer = ({ tokens }) => tokens.map(() => waits.shift() ?? 0);
  await Promise.all(
    ["a", "b", "c"].map((name) => permits.take("m", () => 1, patient).then(() => gone.push(name))),
  );
  expect(gone).toEqual(["c", "b", "a"]);
});

test("a request that gives up fails with its reason, and is not asked for again", async () => {
  const source = new TestSource();
  const permits = new ProcessPermits(["m"], source);
  const answers: ((waits: readonly number[]) => void)[] = [];
  source.answer = () => new Promise((resolve) => answers.push(resolve));
  const controller = new AbortController();
  const given = permits.take("m", () => 7, controller.signal).catch((reason: unknown) => reason);
  const other = permits.take("m", () => 8, patient);
  controller.abort(new Error("stop"));
  expect(await given).toEqual(new Error("stop"));
  await until(() => answers.length === 1, "the source is asked");
  // The source has nothing for now, and is asked again for those that still wait.
  answers[0]?.([]);
  await until(() => answers.length === 2, "the source is asked for the other");
  answers[1]?.([0]);
  expect(await other).toBe(8);
  expect(source.wanted).toEqual([[7], [8]]);
});

test("a request whose signal has aborted already is not asked for", async () => {
  const source = new TestSource();
  const permits = new ProcessPermits(["m"], source);
  const signal = AbortSignal.abort(new Error("stop"));
  await expect(permits.take("m", () => 1, signal)).rejects.toThrow("stop");
  expect(source.asked).toEqual([]);
});

test("requests wait while the source cannot be reached, and go when it is back", async () => {
  const source = new TestSource();
  const permits = new ProcessPermits(["m"], source);
  source.answer = ({ tokens }) => {
    if (source.asked.length < 2) throw new Error("away");
    return tokens.map(() => 0);
  };
  expect(await permits.take("m", () => 3, patient)).toBe(3);
  expect(source.wanted).toEqual([[3], [3]]);
});

test("tokens beyond the estimate are reported as one sum, which may be negative", async () => {
  const source = new TestSource();
  const permits = new ProcessPermits(["m"], source);
  permits.settle("m", 100, 130);
  permits.settle("m", 100, 90.4);
  await until(() => source.settled.length === 1, "the sum is reported");
  expect(source.settled).toEqual([20]);
  permits.settle("m", 100, 60);
  await until(() => source.settled.length === 2, "the next sum is reported");
  expect(source.asked).toEqual([
    { model: "m", tokens: [], settled: 20 },
    { model: "m", tokens: [], settled: -40 },
  ]);
});

test("tokens settled while the source is away are reported when it is back", async () => {
  const source = new TestSource();
  const permits = new ProcessPermits(["m"], source);
  source.answer = () => {
    if (source.asked.length === 1) permits.settle("m", 0, 5);
    if (source.asked.length < 3) throw new Error("away");
    return [];
  };
  permits.settle("m", 10, 40);
  await until(() => source.asked.length === 3, "the tokens are reported until they are taken");
  expect(source.settled).toEqual([30, 35, 35]);
  permits.settle("m", 0, 1);
  await until(() => source.asked.length === 4, "only what is new is reported");
  expect(source.settled.at(-1)).toBe(1);
});

test("an exact estimate leaves nothing to report", async () => {
  const source = new TestSource();
  const permits = new ProcessPermits(["m"], source);
  permits.settle("m", 10, 10);
  permits.settle("m", 10, 11);
  await until(() => source.asked.length === 1, "the second is reported");
  expect(source.settled).toEqual([1]);
});

test("added models need permits from then on, and known models keep their line", async () => {
  const source = new TestSource();
  const permits = new ProcessPermits(["m"], source);
  source.answer = () => new Promise(() => undefined);
  void permits.take("m", () => 1, patient);
  await until(() => source.asked.length === 1, "the first is asked for");
  permits.addModels(["m", "later"]);
  void permits.take("m", () => 2, patient);
  void permits.take("later", () => 3, patient);
  await until(() => source.asked.length === 2, "the added model is asked for");
  expect(source.asked.map(({ model, tokens }) => [model, tokens])).toEqual([
    ["m", [1]],
    ["later", [3]],
  ]);
});

test("a request that has its permit leaves no listener on its signal", async () => {
  const permits = new ProcessPermits(["m"], new TestSource());
  const { signal } = new AbortController();
  const taking = permits.take("m", () => 1, signal);
  expect(listenersOn(signal)).toBe(1);
  await taking;
  expect(listenersOn(signal)).toBe(0);
});
