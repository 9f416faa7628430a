// `matrix recipes` lists the recipes that the binary contains, and `matrix recipes show NAME`
// prints the file of one.

import { Command } from "commander";
import { builtInRecipe, builtInRecipes } from "../recipe/built-in/names.ts";
import { printable } from "../task/printable.ts";
import { jsonOption } from "./flags.ts";
import { renderTable } from "./text/table.ts";

export function recipesCommand(): Command {
  const command = new Command("recipes")
    .description("list the recipes in this binary, which every command takes by name")
    .addOption(jsonOption("print one object a line on stdout"))
    .action(list);
  command
    .command("show")
    .description("print the file of a recipe")
    .argument("<name>", "name of a recipe")
    .action(async (name: string) => {
      process.stdout.write((await builtInRecipe(name)).text);
    });
  return command;
}

async function list({ json }: { readonly json?: boolean }): Promise<void> {
  const recipes = await builtInRecipes();
  if (json === true)
    for (const { name, description } of recipes)
      console.log(printable(JSON.stringify({ name, description })));
  else {
    const rows = recipes.map(({ name, description }) => [name, description]);
    console.log(printable(renderTable(rows, () => true)));
    console.error("\nrun one:  matrix drive NAME       to change it:  matrix init --from NAME DIR");
  }
}
