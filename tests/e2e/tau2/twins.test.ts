// Tau2 as a graph, and in Python, makes the records of the module, with the real environments. All
// 287 gold tasks take minutes (MATRIX_TAU2_FULL); otherwise some of two domains.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { withFolder } from "../../parts/folder.ts";
import { langgraphPython } from "../../parts/langgraph-python.ts";
import { matrix } from "../../parts/program.ts";
import { comparable, readRecords } from "../../parts/records.ts";
import { ROOT } from "../../parts/repository.ts";
import { python } from "./bridge.ts";
import { goldScripts } from "./gold.ts";
import { writeRecipes } from "./recipe.ts";

const MINUTES = 60_000;
const FULL = process.env["MATRIX_TAU2_FULL"] === "true";

test.if(python !== null)(
  "tau2 as a graph and in Python makes the records of the module, with the real environments and evaluator",
  () =>
    withFolder(async (folder) => {
      const { gold } = await writeRecipes(folder);
      const env = { MATRIX_TAU2_BRIDGES: "2", MATRIX_TAU2_CONTAINER: "false" };
      const all = JSON.stringify(goldScripts.map(({ id }) => id));
      const some = FULL
        ? `dataset.filter=${JSON.stringify(`row.id in ${all}`)}`
        : "dataset.filter=row.domain in ['mock', 'retail'] && row.task_id in ['create_task_1', 'update_task_1', '0', '1', '2']";
      const graph = `orchestrator={graph="${join(ROOT, "recipes/tau2/graph.ts#build")}", with={solo=false}}`;
      const rule = join(ROOT, "recipes/tau2/rule.py");
      const request = join(ROOT, "recipes/tau2/request.py");
      const inPython = [
        `orchestrator={module="${rule}", with={solo=false}}`,
        `roles.assistant.request=${request}`,
        `roles.user-simulator.request=${request}`,
      ];
      const graphInPython = [
        `orchestrator={graph="${join(ROOT, "recipes/tau2/graph.py#build_tau2_graph")}", with={solo=false}}`,
        `python.command=["${langgraphPython}"]`,
        ...inPython.slice(1),
      ];
      for (const [name, more] of [
        ["module", []],
        ["graph", [graph]],
        ["python", inPython],
        ...(langgraphPython === null ? [] : [["python-graph", graphInPython] as const]),
      ] as const) {
        const { code, stderr } = await matrix(["drive", gold, "-o", name, "-q", some, ...more], {
          cwd: folder,
          env,
        });
        expect({ name, code, stderr }).toEqual({ name, code: 0, stderr: "" });
      }
      const records = async (name: string) =>
        JSON.parse(withoutTimes(JSON.stringify(comparable(await readRecords(join(folder, name))))));
      const module = await records("module");
      expect(module.length).toBeGreaterThan(3);
      expect(await records("graph")).toEqual(module);
      expect(await records("python")).toEqual(module);
      if (langgraphPython !== null) expect(await records("python-graph")).toEqual(module);
    }),
  (FULL ? 60 : 5) * MINUTES,
);

/** Official messages are dated when they are said. */
function withoutTimes(text: string): string {
  return text.replaceAll(/"timestamp":"[^"]*"/g, '"timestamp":""');
}
