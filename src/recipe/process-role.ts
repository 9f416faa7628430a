// A role whose agent is a program of its own: `agent = "process"` with a command, or the path of a file that is no module. It is
// run, watched and restarted like a program in a sandbox, so it is one: in a sandbox that isolates nothing.

import { isModule } from "./files.ts";
import { BUILT_IN_AGENTS } from "./role-schema.ts";
import { PLAIN_PROCESSES } from "./sandbox-schema.ts";
import type { Recipe, RoleConfig } from "./schema.ts";

/** The recipe with a sandbox for each such role. `env` is what the programs find in their environment. */
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

/** The sandbox of a role's own programs. No table can have that name. */
function processesOf(role: string): string {
  return role + OWN;
}

/** Whether a sandbox is such a one. */
export function isOfRole(sandbox: string): boolean {
  return sandbox.endsWith(OWN);
}

function isProgram({ agent, command, sandbox }: RoleConfig): boolean {
  if (sandbox !== undefined) return false;
  if (agent === "process") return true;
  return !BUILT_IN_AGENTS.includes(agent) && (command !== undefined || !isModule(agent));
}

/** Flags and tokens of `matrix` are no business of a user's program. */
function environmentOf(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const entries = Object.entries(env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return Object.fromEntries(entries.filter(([name]) => !name.startsWith("MATRIX_")));
}
