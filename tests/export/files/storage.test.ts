import { expect, test } from "bun:test";
import { storageFailed } from "../../../src/export/files/storage.ts";

test("a failed write is a storage error with the path and the cause", () => {
  const cause = new Error("disk full");
  try {
    storageFailed("out.jsonl")(cause);
  } catch (thrown) {
    expect(thrown).toMatchObject({
      code: "storage_failed",
      message: "cannot write out.jsonl: disk full",
      cause,
    });
    return;
  }
  throw new Error("nothing was thrown");
});
