// Program roles: `agent = "process"` with a command, or the path of a file that is not a module.
// Such a program is started, watched and restarted like a program in a sandbox. Therefore each
// program role gets its own sandbox, one that isolates nothing.

import { isModule } from "./files.ts";
import { BUILT_IN_AGENTS } from "./schema/role-schema.ts";
import { PLAIN_PROCESSES } from "./schema/sandbox-schema.ts";
import type { Recipe, RoleConfig } from "./schema/schema.ts";

/** Gives every program role its sandbox. `env` is the environment of the programs. */
export function withProcesses(
  recipe: Recipe,
  env: Readonly<Record<string, string | undefined>>,
): Recipe {
  const roles = { ...recipe.roles };
  const sandboxes = { ...recipe.sandboxes };
  for (const [name, role] of Object.entries(recipe.roles)) {
    if (!isProgram(role)) continue;
    const sandbox = processesOf(name);
    sandboxes[sandbox] = {
      ...PLAIN_PROCESSES,
      count: role.processes ?? 1,
      timeout: role.timeout,
      env: environmentOf(env),
    };
    roles[name] = { ...role, sandbox };
  }
  return { ...recipe, roles, sandboxes };
}

const OWN = " (process)";

/** The name of a program role's sandbox. It contains a space, so no table can have it. */
function processesOf(role: string): string {
  return role + OWN;
}

/** Tells the sandbox of a program role from one of [sandboxes]. */
export function isOfRole(sandbox: string): boolean {
  return sandbox.endsWith(OWN);
}

function isProgram({ agent, command, sandbox }: RoleConfig): boolean {
  if (sandbox !== undefined) return false;
  if (agent === "process") return true;
  return !BUILT_IN_AGENTS.includes(agent) && (command !== undefined || !isModule(agent));
}

/** Leaves out the flags and tokens of `matrix`, which a user's program must not see. */
function environmentOf(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const entries = Object.entries(env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return Object.fromEntries(entries.filter(([name]) => !name.startsWith("MATRIX_")));
}
