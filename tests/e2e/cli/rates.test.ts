// Rates as the endpoint sees them: hosts together keep below rpm, also when the driver is
// restarted.

import { afterAll, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { matrix } from "../../parts/binary.ts";
import { withFolder } from "../../parts/folder.ts";
import { readRecords } from "../../parts/records.ts";
import { CORAL } from "../../parts/repository.ts";
import { until } from "../../parts/until.ts";
import { Cluster } from "../chaos/cluster.ts";
import { type CountingEndpoint, serveCounting } from "./counting-endpoint.ts";

const ROWS = 500;
const RPM = 1200;
/** Long enough that a moment in which the machine is busy elsewhere is less than the 2 %. */
const WINDOW_MS = 15_000;
const MORE_THAN_RATE = 1.02;

const endpoints: CountingEndpoint[] = [];
afterAll(() => Promise.all(endpoints.map((endpoint) => endpoint.stop())));

async function writeRecipe(folder: string, model: string, rows: number): Promise<string> {
  const path = join(folder, "recipe.toml");
  await writeFile(
    join(folder, "rows.jsonl"),
    Array.from({ length: rows }, (_, id) => `${JSON.stringify({ id })}\n`).join(""),
  );
  await writeFile(
    path,
    `name = "rates"\ndataset.path = "rows.jsonl"\nrun.concurrency = 300\n[models.m]\nkind = "openai"\nmodel = "x"\n${model}\n[roles.writer]\nagent = "llm"\nmodel = "m"\nprompt = { text = "row {{ row.id }}" }\n[orchestrator]\npattern = "sequence"\nroles = ["writer"]\n`,
  );
  return path;
}

test(
  "two hosts together exceed rpm by 2 % at most, also when the driver is killed and restarted",
  () =>
    withFolder(async (folder) => {
      const endpoint = serveCounting();
      endpoints.push(endpoint);
      const recipe = await writeRecipe(folder, `base_url = "${endpoint.url}"\nrpm = ${RPM}`, ROWS);
      await using cluster = new Cluster(folder);
      const args = ["--workers", "2"];
      const first = cluster.drive(recipe, args);
      await until(
        () => endpoint.arrivals.length >= ROWS * 0.4,
        "a good part of the requests has come",
      );
      first.signal("SIGKILL");
      await first.ended;
      expect(await cluster.drive(recipe, args).ended).toBe(0);

      expect(endpoint.arrivals.length).toBe(ROWS);
      const allowed = (RPM / 60_000) * WINDOW_MS * MORE_THAN_RATE;
      expect(endpoint.mostIn(WINDOW_MS)).toBeLessThanOrEqual(allowed);
      // The rate is used in full: both hosts had turns as long as there was a driver.
      expect(endpoint.mostIn(WINDOW_MS / 3)).toBeGreaterThan(
        ((RPM / 60_000) * WINDOW_MS * 0.9) / 3,
      );
      const byHost = Map.groupBy(
        await readRecords(cluster.directory),
        ({ history }) => history[0]?.host ?? "",
      );
      expect([...byHost.keys()].sort()).toEqual(["worker-1", "worker-2"]);
    }),
  90_000,
);

test(
  "an endpoint with limits on requests and tokens never has to refuse a request",
  () =>
    withFolder(async (folder) => {
      // 30 tokens and 1 request every 10 ms, and what one minute would hold is not there from the
      // start.
      const endpoint = serveCounting({ perSecond: 105, completionTokens: 20 });
      endpoints.push(endpoint);
      const recipe = await writeRecipe(
        folder,
        `base_url = "${endpoint.url}"\nretries = 0\nrpm = 6000\ntpm = 120_000`,
        200,
      );
      const { code, stdout } = await matrix(["drive", recipe, "-o", join(folder, "run"), "--json"]);
      expect(JSON.parse(stdout)).toMatchObject({
        ok: 200,
        spent: { requests: 200, prompt_tokens: 2000, completion_tokens: 4000 },
      });
      expect(code).toBe(0);
      expect(endpoint.refused).toBe(0);
      // 200 requests of 30 tokens at 2,000 tokens a second take three seconds, those at the rate of
      // requests alone two.
      const [begin = 0, end = 0] = [endpoint.arrivals[0], endpoint.arrivals.at(-1)];
      expect(end - begin).toBeGreaterThan(2500);
    }),
  60_000,
);

test("a recipe whose steps would time out waiting for their turn is refused with the keys to set", async () => {
  const { code, stderr } = await matrix(["check", CORAL, "models.speaker.rpm=2"]);
  expect(code).toBe(2);
  expect(stderr).toContain(
    "100 steps of student at 2 requests a minute take longer than one of them may (roles.student.timeout)",
  );
  expect(stderr).toContain("set run.concurrency to 29 or less");
  expect((await matrix(["check", CORAL, "models.speaker.rpm=2", "run.concurrency=29"])).code).toBe(
    0,
  );
});
