// Runs whose roles live in sandboxes, in one process and in many, while containers and hosts are
// killed.

import { describe, expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findContainers } from "../../../src/sandbox/docker/client.ts";
import { markedPids } from "../../../src/sandbox/marked-processes.ts";
import { matrix, spawnMatrix } from "../../parts/binary.ts";
import { withFolder } from "../../parts/folder.ts";
import { readRecords } from "../../parts/records.ts";
import { until } from "../../parts/until.ts";
import { apptainer, docker, type EngineHere, plain } from "../sandbox/engines.ts";

/** Three steps that leave traces in the sandbox. A task that loses one has another outcome. */
const RULE = `import { done, orchestrator, to } from "matrix";
const NEXT = { a: "b", b: "c" };
export default orchestrator({
  start: (_row, { id }) => to("a", ask("a", id)),
  next: (_state, { stdout }, { role, id }) => (role === "c" ? done({ outcome: { stdout } }) : to(NEXT[role], ask(NEXT[role], id))),
});
const ask = (letter, id) => ({ exec: { command: "mkdir -p $ID; echo " + letter + " >> $ID/f; sleep 0.2; cat $ID/f", env: { ID: "task" + id } } });
`;
const ROWS = 24;

async function write(folder: string, { engine, image }: EngineHere, name: string): Promise<void> {
  const sandbox =
    image === "" ? `engine = "${engine}"` : `engine = "${engine}"\nimage = "${image}"`;
  const roles = ["a", "b", "c"]
    .map((role) => `[roles.${role}]\nagent = "exec"\nsandbox = "box"\n`)
    .join("");
  await writeFile(
    join(folder, "recipe.toml"),
    `name = "${name}"\ndataset.path = "d.jsonl"\nrun.max_attempts = 6\nrun.concurrency = 8\n[sandboxes.box]\n${sandbox}\ncount = 2\n${roles}[orchestrator]\nmodule = "rule.ts"\n`,
  );
  await writeFile(join(folder, "rule.ts"), RULE);
  await writeFile(
    join(folder, "d.jsonl"),
    Array.from({ length: ROWS }, (_, n) => `{"n":${n}}\n`).join(""),
  );
}

async function expectWhole(folder: string): Promise<void> {
  const records = await readRecords(join(folder, "run"));
  expect(records.map(({ status, outcome }) => `${status} ${JSON.stringify(outcome)}`)).toEqual(
    records.map(() => 'ok {"stdout":"a\\nb\\nc\\n"}'),
  );
  expect(records).toHaveLength(ROWS);
  expect((await matrix(["verify", "run"], { cwd: folder })).code).toBe(0);
}

describe.each([docker, apptainer, plain].filter(({ image }) => image !== null))(
  "a run with sandboxes by $engine",
  (here) => {
    test(
      "a run ends with a record for each row and leaves no sandbox running",
      () =>
        withFolder(async (folder) => {
          const name = `whole-${crypto.randomUUID()}`;
          await write(folder, here, name);
          const { code, stderr } = await matrix(["drive", "recipe.toml", "-o", "run", "-q"], {
            cwd: folder,
          });
          expect([code, stderr.replace(/^warning sandbox .*\n/, "")]).toEqual([0, ""]);
          await expectWhole(folder);
          expect(markedPids(`MATRIX_SANDBOX_RUN=${name}`)).toEqual([]);
        }),
      120_000,
    );

    test(
      "a run on hosts of its own ends with a record for each row and leaves no sandbox running",
      () =>
        withFolder(async (folder) => {
          const name = `workers-${crypto.randomUUID()}`;
          await write(folder, here, name);
          const { code } = await matrix(
            ["drive", "recipe.toml", "-o", "run", "-q", "--workers", "2"],
            { cwd: folder },
          );
          expect(code).toBe(0);
          await expectWhole(folder);
          await until(
            () => markedPids(`MATRIX_SANDBOX_RUN=${name}`).length === 0,
            "nothing of it runs",
          );
        }),
      120_000,
    );

    test(
      "a run that is killed leaves no sandbox running, and goes on",
      () =>
        withFolder(async (folder) => {
          const name = `killed-${crypto.randomUUID()}`;
          await write(folder, here, name);
          const { child, finished } = spawnMatrix(["drive", "recipe.toml", "-o", "run", "-q"], {
            cwd: folder,
          });
          await until(
            async () => (await readRecords(join(folder, "run")).catch(() => [])).length > 0,
            "a record is written",
          );
          child.kill("SIGKILL");
          await finished;
          await until(
            () => markedPids(`MATRIX_SANDBOX_RUN=${name}`).length === 0,
            "nothing of it runs",
          );
          expect(
            (await matrix(["drive", "recipe.toml", "-o", "run", "-q"], { cwd: folder })).code,
          ).toBe(0);
          await expectWhole(folder);
        }),
      120_000,
    );
  },
);

test.skipIf(docker.image === null)(
  "containers that are killed in the middle of a run cost no task and change none",
  () =>
    withFolder(async (folder) => {
      const name = `container-${crypto.randomUUID()}`;
      await write(folder, docker, name);
      const { finished } = spawnMatrix(["drive", "recipe.toml", "-o", "run", "-q"], {
        cwd: folder,
      });
      const running = async () => (await findContainers()).filter(({ run }) => run === name);
      for (const records of [1, 8]) {
        await until(
          async () => (await readRecords(join(folder, "run")).catch(() => [])).length >= records,
          `${records} records are written`,
        );
        await until(async () => (await running()).length > 0, "a container runs");
        // All of them: whichever has no task just now would prove nothing.
        Bun.spawnSync(["docker", "kill", ...(await running()).map(({ id }) => id)], {
          stdout: "ignore",
          stderr: "ignore",
        });
      }
      expect((await finished).code).toBe(0);
      await expectWhole(folder);
      expect((await readRecords(join(folder, "run"))).some(({ attempt }) => attempt > 1)).toBe(
        true,
      );
    }),
  120_000,
);

test(
  "a recipe whose image is not there is refused before a task comes",
  () =>
    withFolder(async (folder) => {
      if (docker.image === null) return;
      await write(folder, { engine: "docker", image: "no-such-image:1" }, "refused");
      const { code, stderr } = await matrix(["drive", "recipe.toml", "-o", "run", "-q"], {
        cwd: folder,
      });
      expect(stderr).toContain("Docker has no image no-such-image:1");
      expect(code).toBe(2);
    }),
  60_000,
);

test(
  "sandboxes run as plain processes when the recipe says so, with a warning before and during the run",
  () =>
    withFolder(async (folder) => {
      await write(folder, { engine: "docker", image: "nowhere.invalid/none" }, "by-name");
      const override = "sandboxes.box.engine=process";
      const plan = await matrix(["check", "recipe.toml", override], { cwd: folder });
      const loss =
        "nothing is isolated, nothing but time is limited, and its image nowhere.invalid/none is not used";
      expect(plan.stdout).toContain(`box: PLAIN PROCESSES: ${loss}`);
      const { code, stderr } = await matrix(["drive", "recipe.toml", "-o", "run", "-q", override], {
        cwd: folder,
      });
      expect([code, stderr]).toEqual([0, `warning sandbox box runs by plain processes: ${loss}\n`]);
      await expectWhole(folder);
    }),
  120_000,
);

const AGENT = `from matrix_agent import agent
import os

def end(task):
    with open(os.environ["TOLD"], "a") as told:
        told.write(f"{task['id']}\\n")

@agent(end=end)
def step(task):
    if task["row"]["n"] % 2 == 1:
        raise ValueError("odd")
    return task["row"]["n"]
`;

describe.each([
  { where: "one process", more: [] },
  { where: "hosts of its own", more: ["--workers", "2"] },
])("the agents of a run in $where", ({ more }) => {
  test(
    "agents in sandboxes are told of each task that ended, well or not, while the run goes on",
    () =>
      withFolder(async (folder) => {
        const rows = 400;
        await writeFile(join(folder, "a.py"), AGENT);
        await writeFile(
          join(folder, "d.jsonl"),
          Array.from({ length: rows }, (_, n) => `{"n":${n}}\n`).join(""),
        );
        await writeFile(
          join(folder, "recipe.toml"),
          `name = "ends"\ndataset.path = "d.jsonl"\nrun.concurrency = 2\nrun.fail_above = 1.0\n[sandboxes.box]\nengine = "process"\nenv = { TOLD = "${folder}/told" }\n[roles.a]\nagent = "a.py"\nsandbox = "box"\n[orchestrator]\npattern = "sequence"\nroles = ["a"]\n`,
        );
        const { code } = await matrix(["drive", "recipe.toml", "-o", "run", "-q", ...more], {
          cwd: folder,
        });
        expect(code).toBe(0);
        const records = await readRecords(join(folder, "run"));
        expect(records.filter(({ status }) => status === "failed")).toHaveLength(rows / 2);
        const told = (await readFile(join(folder, "told"), "utf8")).trim().split("\n");
        expect(new Set(told).size).toBe(told.length);
        // Hosts need not be told of the last task that ended before the run was over.
        expect(
          told.some((id) => records.find((record) => record.id === id)?.status === "failed"),
        ).toBe(true);
        expect(told.some((id) => records.find((record) => record.id === id)?.status === "ok")).toBe(
          true,
        );
      }),
    120_000,
  );
});
