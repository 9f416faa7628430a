// Which of several processes makes a request: the others wait for its answer.

import { expect, test } from "bun:test";
import { AnswerFiles } from "../../../src/model/answers/answer-files.ts";
import { withFolder } from "../../parts/folder.ts";
import { until } from "../../parts/until.ts";
import { answerOf, requestOf } from "./made.ts";

/** A journal that some processes share; those in `members` are on everybody's list. */
const withJournal = (
  use: (open: (writer: string) => Promise<AnswerFiles>, members: Set<string>) => Promise<void>,
  now?: () => number,
) =>
  withFolder(async (folder) => {
    const members = new Set<string>();
    const opened: AnswerFiles[] = [];
    await use(async (writer) => {
      members.add(writer);
      const files = await AnswerFiles.open({
        folder,
        writer,
        use: "journal",
        warn: (message) => expect.unreachable(message),
        isWriting: (other) => members.has(other),
        ...(now === undefined ? {} : { now }),
      });
      opened.push(files);
      return files;
    }, members);
    for (const files of opened) await files.close();
  });

const again = (row: string) => requestOf(row, 0, 1, true);
const textOf = async (found: ReturnType<AnswerFiles["find"]>) =>
  (await found)?.message.content ?? null;

test("a repetition waits for the living process that makes the request, and takes its answer", () =>
  withJournal(async (open) => {
    const [one, other] = [await open("one"), await open("other")];
    expect(await one.findOrClaim("m", requestOf("a"))).toBeNull();
    const waiting = textOf(other.findOrClaim("m", again("a")));
    await one.keep("m", requestOf("a"), answerOf("said"));
    expect(await waiting).toBe("said");
  }));

test.each([
  ["before", "a"],
  ["after", "z"],
])(
  "a process whose name comes %s that of the asking one keeps waiting, and claims nothing",
  (_, name) => {
    let reads = 0;
    const now = () => {
      reads++;
      return 0;
    };
    return withJournal(async (open) => {
      const [one, other] = [await open("m"), await open(name)];
      expect(await one.findOrClaim("m", requestOf("a"))).toBeNull();
      const before = reads;
      const waiting = textOf(other.findOrClaim("m", again("a")));
      let isOver = false;
      void waiting.then(() => {
        isOver = true;
      });
      await until(() => isOver || reads >= before + 4, "the journal was looked at three times");
      expect(isOver).toBe(false);
      // A note of the one that waits would make a third process wait for it.
      one.drop("m", requestOf("a"));
      await one.keep("m", requestOf("a"), answerOf("said"));
      expect(await waiting).toBe("said");
    }, now);
  },
);

test("a repetition goes on when the process that asked drops the request, or is gone", () =>
  withJournal(async (open, members) => {
    const [one, other] = [await open("one"), await open("other")];
    for (const [row, leave] of [
      ["a", () => one.drop("m", requestOf("a"))],
      ["b", () => members.delete("one")],
    ] as const) {
      expect(await one.findOrClaim("m", requestOf(row))).toBeNull();
      const waiting = other.findOrClaim("m", again(row));
      leave();
      expect(await waiting).toBeNull();
    }
  }));

test("of repetitions that begin together one asks, and the others get its answer", () =>
  withJournal(async (open) => {
    const journals = await Promise.all(["c", "a", "b"].map(open));
    let asked = 0;
    const answers = journals.map(async (journal) => {
      const found = await journal.findOrClaim("m", again("x"));
      if (found !== null) return found.message.content;
      asked++;
      await journal.keep("m", again("x"), answerOf("said"));
      return "asked";
    });
    expect((await Promise.all(answers)).sort()).toEqual(["asked", "said", "said"]);
    expect(asked).toBe(1);
  }));

test("a process that begins a request comes before a repetition that only wants to, whatever its name", () => {
  let reads = 0;
  const now = () => {
    reads++;
    return 0;
  };
  return withJournal(async (open) => {
    const [repeating, one] = [await open("a"), await open("z")];
    let isOver = false;
    const waiting = textOf(repeating.findOrClaim("m", again("a"))).finally(() => {
      isOver = true;
    });
    expect(await one.findOrClaim("m", requestOf("a"))).toBeNull();
    const before = reads;
    await until(() => isOver || reads >= before + 6, "the repetition has looked several times");
    expect(isOver).toBe(false);
    await one.keep("m", requestOf("a"), answerOf("said"));
    expect(await waiting).toBe("said");
  }, now);
});

test("a repetition that won is seen to make its request", () =>
  withJournal(async (open) => {
    const [first, second] = [await open("z"), await open("a")];
    expect(await first.findOrClaim("m", again("a"))).toBeNull();
    const waiting = textOf(second.findOrClaim("m", again("a")));
    await first.keep("m", again("a"), answerOf("said"));
    expect(await waiting).toBe("said");
  }));

test("two repetitions in one process make one request", () =>
  withJournal(async (open) => {
    const one = await open("one");
    const [first, second] = [again("x"), again("x")];
    expect(await one.findOrClaim("m", first)).toBeNull();
    const waiting = textOf(one.findOrClaim("m", second));
    await one.keep("m", first, answerOf("said"));
    expect(await waiting).toBe("said");
  }));

test("a wait ends with its signal, and claims nothing", () =>
  withJournal(async (open) => {
    const [one, other] = [await open("one"), await open("other")];
    await one.findOrClaim("m", requestOf("a"));
    const controller = new AbortController();
    const waiting = other.findOrClaim("m", again("a"), controller.signal);
    controller.abort(new Error("late"));
    await expect(waiting).rejects.toThrow();
    one.drop("m", requestOf("a"));
    expect(await (await open("third")).findOrClaim("m", again("a"))).toBeNull();
  }));

test.each([
  ["a process that no list has", 499, 500],
  ["a living process", 59_999, 60_000],
])("the answer of %s is waited for until %d ms have passed, and not at %d", (who, early, late) => {
  const clock = { now: 0, reads: 0 };
  const looked = () => {
    const before = clock.reads;
    return until(() => clock.reads > before + 1, "the journal was looked at again");
  };
  return withJournal(
    async (open, members) => {
      const [one, other] = [await open("one"), await open("other")];
      if (who !== "a living process") members.delete("one");
      await one.findOrClaim("m", requestOf("a"));
      let isOver = false;
      const waiting = other.findOrClaim("m", again("a")).then(() => {
        isOver = true;
      });
      await looked();
      clock.now = early;
      await looked();
      expect(isOver).toBe(false);
      clock.now = late;
      await waiting;
    },
    () => {
      clock.reads++;
      return clock.now;
    },
  );
});
