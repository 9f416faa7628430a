// The environment of code that only a check runs.

import { expect, test } from "bun:test";
import { HIDDEN, withoutSecrets } from "../../../src/run/check/environment.ts";

test.each([
  ["PATH", "/bin"],
  ["HOME", "/none/of/these"],
  ["LC_ALL", "C.UTF-8"],
  ["XDG_CACHE_HOME", "/none"],
  ["WORLD_SIZE", "8"],
  ["RATE", "-0.25"],
  ["SIX_DIGITS", "123456"],
  ["EMPTY", ""],
  ["VERBOSE", "True"],
  ["PYTHONPATH", "/tmp:/none"],
])("%s=%s keeps its value", (name, value) => {
  expect(withoutSecrets({ [name]: value }, [])).toEqual({ [name]: value });
});

test.each([
  ["OPENAI_API_KEY", "sk-1"],
  ["SEVEN_DIGITS", "1234567"],
  ["AWS_SECRET", "/looks/like/a/path"],
  ["PATHS", "PATH"],
  ["PATH_KEY", "x"],
  ["WORD", "hunter2"],
])("%s=%s is there without its value", (name, value) => {
  expect(withoutSecrets({ [name]: value }, [])).toEqual({ [name]: HIDDEN });
});

test("a URL loses its credentials and stays a URL", () => {
  const env = { DB: "postgres://user:password@db:5432/x", NOT: "a://b:c@ d" };
  expect(withoutSecrets(env, [])).toEqual({ DB: "postgres://db:5432/x", NOT: HIDDEN });
});

test("a variable that the recipe names in a plain key keeps its value, and one in a secret key never", () => {
  const plain = { variable: "A", key: "run.output", isSecret: false };
  const secret = { variable: "A", key: "models.m.api_key", isSecret: true };
  expect(withoutSecrets({ A: "word" }, [plain])).toEqual({ A: "word" });
  expect(withoutSecrets({ A: "word" }, [plain, secret])).toEqual({ A: HIDDEN });
  expect(withoutSecrets({ A: "1" }, [secret])).toEqual({ A: HIDDEN });
});

test("flags of matrix and variables that are not set are left out, unless the recipe names them", () => {
  const plain = { variable: "MATRIX_X", key: "run.output", isSecret: false };
  const env = { MATRIX_TOKEN: "t", MATRIX_X: "word", NONE: undefined };
  expect(withoutSecrets(env, [])).toEqual({});
  expect(withoutSecrets(env, [plain])).toEqual({ MATRIX_X: "word" });
});
