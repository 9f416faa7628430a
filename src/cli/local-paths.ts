// Flags and arguments that name files or folders of this machine. An address such as s3://bucket is
// refused before anything starts, because it would become the name of a folder here.

import type { Command } from "commander";
import { MatrixError } from "../error.ts";
import { schemeOf } from "../task/scheme.ts";

const ARGUMENTS: ReadonlySet<string> = new Set(["dir", "recipe", "place"]);
const OPTION = /<(?:dir|file)>/;

/** Fails with `usage` when one of the command's paths is an address. */
export function refuseAddresses(command: Command): void {
  for (const [index, argument] of command.registeredArguments.entries())
    if (ARGUMENTS.has(argument.name()))
      for (const value of [command.processedArgs[index]].flat())
        refuseAddress(argument.name().toUpperCase(), value);
  for (const option of command.options)
    if (OPTION.test(option.flags))
      refuseAddress(option.long ?? option.flags, command.getOptionValue(option.attributeName()));
}

/** Fails with `usage` when the value of a flag or argument is an address. */
export function refuseAddress(name: string, value: unknown): void {
  const scheme = typeof value === "string" ? schemeOf(value) : null;
  if (scheme === null) return;
  throw new MatrixError("usage", `${name}: ${value} is not a path on this machine`, {
    hint:
      scheme === "file"
        ? "leave out file://"
        : `matrix neither reads nor writes ${scheme}:// here; name a local path, and copy the files ` +
          "with the tools of that storage",
  });
}
