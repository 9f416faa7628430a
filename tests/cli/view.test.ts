// `matrix view` serves a page until it is stopped, or writes it to a folder.

import { expect, test } from "bun:test";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { adviceFor } from "../../src/cli/view.ts";
import type { RunsAnswer, Session } from "../../src/view/api.ts";
import { withFolder } from "../parts/folder.ts";
import { matrix, startMatrix } from "../parts/program.ts";
import { DIALOGUE, said, writeRun } from "../parts/run-directory.ts";
import { until } from "../parts/until.ts";

const withRuns = (use: (folder: string) => Promise<void>) =>
  withFolder(async (folder) => {
    const history = [["student", said("hello")]] as const;
    const records = [
      { id: "a", score: 1, history },
      { id: "b", score: 0, history },
    ];
    await writeRun(join(folder, "runs/one"), DIALOGUE, records);
    await use(folder);
  });

test("view prints its URL on stdout, shows the folder runs by default, and ends with a signal", () =>
  withRuns(async (folder) => {
    const args = ["view", "--listen", "127.0.0.1:0", "--who", "ann"];
    const { output, finished } = startMatrix(args, { cwd: folder });
    await until(() => output.stderr.includes("stop with"), "the server is up");
    const url = output.stdout.trim();
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
    const { runs } = (await (await fetch(`${url}api/runs`)).json()) as RunsAnswer;
    expect(runs.map(({ path }) => path)).toEqual(["runs/one"]);
    const session = (await (await fetch(`${url}api/session`)).json()) as Session;
    expect(session).toMatchObject({ who: "ann", only: runs[0]?.key ?? "", places: ["runs"] });
    expect(await (await fetch(url)).text()).toContain("app.js");
    process.emit("SIGTERM");
    expect((await finished).code).toBe(0);
    await expect(fetch(url)).rejects.toThrow();
  }));

test("without a folder runs, view shows the present folder", () =>
  withRuns(async (folder) => {
    const args = ["view", "--listen", "127.0.0.1:0"];
    const { output, finished } = startMatrix(args, { cwd: join(folder, "runs") });
    await until(() => output.stderr.includes("stop with"), "the server is up");
    const answer = await fetch(`${output.stdout.trim()}api/runs`);
    const { runs } = (await answer.json()) as RunsAnswer;
    expect(runs.map(({ path }) => path)).toEqual(["one"]);
    process.emit("SIGTERM");
    await finished;
  }));

test("view --bundle writes the page and the selected records, and says how many", () =>
  withRuns(async (folder) => {
    const args = ["view", "runs", "--bundle", "out", "--select", "score > 0.5"];
    const { code, stdout, stderr } = await matrix(args, { cwd: folder });
    expect([code, stdout]).toEqual([0, "out/index.html\n"]);
    expect(stderr).toBe("1 runs, 1 records, 1 left out; known secrets are masked\n");
    expect(await readFile(join(folder, "out/index.html"), "utf8")).toContain("data-bundle");
    expect(await readdir(join(folder, "out/data"))).toContain("bundle.js");
  }));

test("view refuses a selection without a bundle, an expression that does not parse, and no place", () =>
  withRuns(async (folder) => {
    const refused = async (...args: string[]) => {
      const { code, stderr } = await matrix(["view", ...args], { cwd: folder });
      return [code, stderr.split("\n")[0]] as const;
    };
    expect(await refused("--select", "true")).toEqual([
      2,
      "error: --select chooses the records of a bundle: it needs --bundle",
    ]);
    const [code, message] = await refused("--bundle", "out", "--select", "1 +");
    expect(code).toBe(2);
    expect(message).toContain("the expression does not parse");
    expect(await refused("nothing")).toEqual([2, "error: there is no file or folder nothing"]);
    await mkdir(join(folder, "empty"));
    expect(await refused("empty", "--bundle", "out")).toEqual([
      2,
      "error: there is no run to write to a bundle",
    ]);
    expect(await refused("s3://bucket")).toEqual([
      2,
      "error: PLACE: s3://bucket is not a path on this machine",
    ]);
  }));

test("over ssh, view says which tunnel leads to it, unless it is served off loopback", () => {
  const env = { SSH_CONNECTION: "10.0.0.9 52100 10.0.0.7 22" };
  const local = { url: "http://127.0.0.1:7450/", port: 7450 };
  expect(adviceFor(local, env)).toEqual([
    "from your own machine: ssh -N -L 7450:localhost:7450 10.0.0.7, then open http://127.0.0.1:7450/",
    "stop with Ctrl-C",
  ]);
  expect(adviceFor(local, {})).toEqual(["stop with Ctrl-C"]);
  const open = { url: "http://localhost:7450/?token=x", port: 7450 };
  expect(adviceFor(open, env)).toEqual(["stop with Ctrl-C"]);
});
