import { expect, test } from "bun:test";
import { CensusNotes } from "../../src/peer/census-notes.ts";
import { keyOf, positionOf } from "../../src/peer/parcel.ts";
import type { Message } from "../../src/task/task.ts";
import { end, fork, step } from "./one-broker.ts";

const inCustody = (message: Message) => ({
  key: keyOf(message.task),
  message,
  position: positionOf(message),
});
const collected = (notes: CensusNotes, number: number) =>
  Object.fromEntries(notes.collect(number) ?? []);

test("a process that never began a census cannot answer it", () => {
  const notes = new CensusNotes();
  notes.note(inCustody(step()));
  expect(notes.collect(1)).toBeNull();
  notes.begin(1, []);
  expect([notes.collect(2), collected(notes, 1)]).toEqual([null, {}]);
});

test("each task is noted with its latest attempt, in whatever order and kind it was in custody", () => {
  const notes = new CensusNotes();
  notes.begin(1, [
    inCustody(step({ rowId: "a", attempt: 2 })),
    inCustody(step({ rowId: "a", attempt: 1 })),
    inCustody(fork({ rowId: "b", hops: 7 })),
  ]);
  notes.note(inCustody(end({ rowId: "c", attempt: 3 })));
  notes.note(inCustody(end({ rowId: "b", attempt: 1 })));
  expect(collected(notes, 1)).toEqual({ "0:a": 2, "0:b": 1, "0:c": 3 });
});

test("branches are not noted", () => {
  const notes = new CensusNotes();
  notes.begin(1, [inCustody(step({ branch: { of: "a", id: 1 } }))]);
  notes.note(inCustody(step({ branch: { of: "a", id: 2 } })));
  expect(collected(notes, 1)).toEqual({});
});

test("a census that is begun again goes on, and one that is collected again answers the same", () => {
  const notes = new CensusNotes();
  notes.begin(1, [inCustody(step({ rowId: "a" }))]);
  notes.begin(1, []);
  notes.note(inCustody(step({ rowId: "b" })));
  expect(collected(notes, 1)).toEqual({ "0:a": 1, "0:b": 1 });
  notes.note(inCustody(step({ rowId: "c" })));
  notes.begin(1, []);
  notes.note(inCustody(step({ rowId: "d" })));
  expect(collected(notes, 1)).toEqual({ "0:a": 1, "0:b": 1 });
});

test("another census begins anew", () => {
  const notes = new CensusNotes();
  notes.begin(1, [inCustody(step({ rowId: "a" }))]);
  notes.begin(2, [inCustody(step({ rowId: "b" }))]);
  expect([notes.collect(1), collected(notes, 2)]).toEqual([null, { "0:b": 1 }]);
});
