// The plan of a retry or a replay as text: the steps that it would reuse, and those that it asks.

import { tokensOf } from "../../driver/ledger.ts";
import { joinKey } from "../../recipe/key-path.ts";
import type { MendPlan, RolePlan } from "../../run/replay/mend-plan.ts";
import { grouped } from "./figures.ts";
import { renderTable } from "./table.ts";

export function renderMendPlan(plan: MendPlan): string {
  const { name, tasks, retried, replay, roles, cost, left_out: leftOut } = plan;
  const what = replay === null ? "" : ` from the records of ${replay}`;
  const again = retried === 0 ? "" : `, ${grouped(retried)} of them again`;
  const lines = [
    `${name}: a plan for ${grouped(tasks)} tasks${what}${again}; nothing was asked`,
    countedLine(plan),
    "",
  ];
  if (roles.length > 0) {
    const head = ["role", "reused", "asked", "requests", "tokens in", "tokens out", "cost"];
    lines.push(renderTable([head, ...roles.map(rowOf)]), "");
  } else lines.push("no role asks a model, so nothing is paid", "");
  lines.push(`cost    ${cost === null ? "-" : cost.toFixed(4)}`);
  if (plan.budget !== null) lines.push(`budget  ${budgetLine(plan, plan.budget)}`);
  for (const model of plan.assumed)
    lines.push(
      `ASSUMED: how long answers of ${model} are; state ${joinKey("models", model)}.expect.output_tokens`,
    );
  for (const [role, count] of Object.entries(leftOut))
    lines.push(
      `LEFT OUT: ${role} runs in a sandbox or was left out as code, and was not started; ${grouped(count)} tasks end there in this plan`,
    );
  return lines.join("\n");
}

function countedLine({ replay, counted, tasks }: MendPlan): string {
  if (replay === null)
    return `counted on ${grouped(counted)} tasks that ended well or were rehearsed; no answer is reused from a record`;
  const part = counted < tasks ? `${grouped(counted)} of them` : "all of them";
  return `counted on ${part}, played by the recipe's own rule and code, with stand-ins for models that are asked`;
}

function rowOf(role: RolePlan): string[] {
  const { name, reused, asked, requests, prompt_tokens, completion_tokens, cost } = role;
  const counts = [reused, asked, requests, prompt_tokens, completion_tokens].map(grouped);
  return [name, ...counts, cost === null ? "-" : cost.toFixed(4)];
}

function budgetLine(
  { roles, cost }: MendPlan,
  { money, tokens, spent, over }: NonNullable<MendPlan["budget"]>,
): string {
  const planned = roles.reduce((sum, role) => sum + role.prompt_tokens + role.completion_tokens, 0);
  const parts = [
    ...(money === undefined
      ? []
      : [`${(spent.cost + (cost ?? 0)).toFixed(4)} of ${money} in money`]),
    ...(tokens === undefined
      ? []
      : [`${grouped(tokensOf(spent) + planned)} of ${grouped(tokens)} tokens`]),
  ];
  return `${parts.join(", ")}: ${over === null ? "enough" : "NOT ENOUGH"}`;
}
