// States of runs and of records: a sign, a word and a colour, so that none stands alone.

import type { RunState, Status, Verdict } from "../../api.ts";
import { Icon, type IconName } from "./icon.tsx";

const RUN_STATES: Readonly<Record<RunState, readonly [IconName, string, string]>> = {
  running: ["live", "running", "live"],
  complete: ["check", "complete", "plain"],
  stopped: ["pause", "stopped", "warn"],
  interrupted: ["alert", "interrupted", "warn"],
  foreign: ["columns", "file", "plain"],
  broken: ["cross", "broken", "failed"],
};

const STATUSES: Readonly<Record<Status, IconName>> = { ok: "check", failed: "cross", lost: "lost" };

export function StateBadge({ state }: { readonly state: RunState }) {
  const [icon, word, tone] = RUN_STATES[state];
  return <Badge icon={icon} tone={tone} word={word} />;
}

export function StatusBadge({ status }: { readonly status: Status }) {
  return <Badge icon={STATUSES[status]} tone={status} word={status} />;
}

export function VerdictBadge({ verdict }: { readonly verdict: Verdict | "disputed" }) {
  if (verdict === "disputed") return <Badge icon="alert" tone="warn" word="disputed" />;
  const isGood = verdict === "accepted";
  return <Badge icon={isGood ? "check" : "cross"} tone={isGood ? "ok" : "failed"} word={verdict} />;
}

export function SimulatedBadge() {
  return (
    <span class="badge badge-plain" title="Answers came from a simulated model">
      simulated
    </span>
  );
}

function Badge({
  icon,
  tone,
  word,
}: {
  readonly icon: IconName;
  readonly tone: string;
  readonly word: string;
}) {
  return (
    <span class={`badge badge-${tone}`}>
      <Icon name={icon} size={12} />
      {word}
    </span>
  );
}
