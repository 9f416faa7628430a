// The resolved recipe of a run, and what its manifest says besides.

import type { RunAnswer } from "../../api.ts";
import { useLoaded } from "../loaded.ts";
import { When } from "../parts/states.tsx";
import { JsonTree } from "../text/json-tree.tsx";
import { CodeBlock } from "../text/rich-text.tsx";

export function RecipeTab({ run, answer }: { readonly run: string; readonly answer: RunAnswer }) {
  const loaded = useLoaded(`recipe ${run}`, (source) => source.recipe(run));
  const { recipe: _, ...rest } = answer.manifest ?? {};
  return (
    <div class="recipe-view">
      <When loaded={loaded} what="The recipe" lines={12}>
        {(text) => <CodeBlock code={text} language={text.startsWith("{") ? "json" : "toml"} />}
      </When>
      <section class="card" aria-label="Manifest">
        <h2 class="card-title">Manifest</h2>
        <JsonTree value={rest} open={1} />
      </section>
    </div>
  );
}
