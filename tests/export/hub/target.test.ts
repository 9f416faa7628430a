// Addresses of datasets that an export is pushed to.

import { expect, test } from "bun:test";
import { parseTarget } from "../../../src/export/hub/target.ts";

test.each<[address: string, id: string, name: string, branch: string]>([
  ["hf://acme/set", "acme/set", "set", "main"],
  ["hf://acme/set/", "acme/set", "set", "main"],
  ["hf://datasets/acme/set-1.0_x", "acme/set-1.0_x", "set-1.0_x", "main"],
  ["hf://acme/set@draft", "acme/set", "set", "draft"],
  ["hf://acme/set@refs/pr/1", "acme/set", "set", "refs/pr/1"],
])("%s is the dataset %s, named %s, on the branch %s", (address, id, name, branch) => {
  expect(parseTarget(address)).toEqual({ id, name, branch });
});

test.each([
  "hf://acme",
  "hf://",
  "hf://acme/set/train",
  "hf://a b/c",
  "hf://acme/set@",
  "s3://a/b",
])("%s is no dataset to push to", (address) => {
  expect(() => parseTarget(address)).toThrow(`${address} is not the name of a dataset on the hub`);
});
