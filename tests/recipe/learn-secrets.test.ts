// The secrets that a process learns from its environment and from a recipe.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { masked } from "../../src/known-secrets.ts";
import { learnEnvironment } from "../../src/recipe/learn-secrets.ts";
import { examineRecipe } from "../../src/recipe/load.ts";
import { withFolder } from "../parts/folder.ts";
import { writeSmallRun } from "../run/small-run.ts";

/** Values differ from test to test, because the process keeps what it learned. */
let drawn = 0;
const draw = () => `learned-secret-${drawn++}-x`;

test.each([
  "OPENAI_API_KEY",
  "OPENAI_APIKEY",
  "HF_TOKEN",
  "AWS_SECRET_ACCESS_KEY",
  "CLIENT_SECRET",
  "DB_PASSWORD",
  "SSH_PRIVATE_KEY",
  "token",
])("%s is a variable that holds a secret, by its name", (name) => {
  const value = draw();
  learnEnvironment({ [name]: ` ${value}\n` });
  expect(masked(`a ${value}`)).toBe(`a [${name}]`);
});

test.each(["TOKENIZERS_PARALLELISM", "KEYBOARD", "AUTHOR", "MONKEY", "MATRIX_TOKEN"])(
  "%s is no variable that holds a secret",
  (name) => {
    const value = draw();
    learnEnvironment({ [name]: value });
    expect(masked(value)).toBe(value);
  },
);

test("a variable whose value is a path or is not set holds no secret", () => {
  learnEnvironment({
    MY_TOKEN: "/run/secrets/token",
    YOUR_TOKEN: undefined,
    OTHER_TOKEN: "~/token",
  });
  expect(masked("/run/secrets/token ~/token")).toBe("/run/secrets/token ~/token");
});

test("the password and the keys in a URL are secrets, and a user without a password is one", () => {
  const [password, key, user] = [draw(), draw(), draw()];
  learnEnvironment({
    PROXY: `http://me-myself:${password}@proxy:1/?api_key=${key}&page=long-enough`,
    OTHER: `https://${user}@git`,
  });
  expect(masked(`${password} ${key} ${user} me-myself long-enough`)).toBe(
    "*** *** *** me-myself long-enough",
  );
  const basic = Buffer.from(`me-myself:${password}`).toString("base64");
  expect(masked(`Basic ${basic}`)).toBe("Basic ***");
});

test("the headers of a collector are secrets, whole and without their scheme", () => {
  const [one, two] = [draw(), draw()];
  learnEnvironment({
    OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${one},x-key=${two}`,
    OTEL_EXPORTER_OTLP_TRACES_HEADERS: "",
  });
  expect(masked(`${one} ${two}`)).toBe("*** ***");
});

test("a recipe's key, secret headers, URLs and variables of sandboxes are secrets, and other texts are not", () =>
  withFolder(async (folder) => {
    const env = {
      KEY: draw(),
      HEADER: draw(),
      OPEN: draw(),
      URL: `http://user:${draw()}@127.0.0.1:9/v1`,
      BOX: draw(),
      MODEL: draw(),
    };
    const path = await writeSmallRun(folder);
    const overrides = [
      'models.n={ kind = "openai", model = "${env:MODEL}", base_url = "${env:URL}" }',
      "models.n.api_key=${env:KEY}",
      'models.n.headers={ Authorization = "Bearer ${env:HEADER}", X-Team = "an-open-header" }',
      'sandboxes.s={ image = "ubuntu", env = { A = "${env:BOX}", B = "a-plain-value" } }',
    ];
    await examineRecipe(path, { overrides, env, cwd: join(folder) });
    expect(masked(`${env.KEY} ${env.HEADER} ${env.BOX}`)).toBe("[KEY] [HEADER] [BOX]");
    expect(masked(env.URL)).toBe("http://user:***@127.0.0.1:9/v1");
    for (const open of [env.MODEL, env.OPEN, "an-open-header", "a-plain-value"])
      expect(masked(open)).toBe(open);
  }));
