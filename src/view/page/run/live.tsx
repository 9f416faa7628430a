// A run as it goes on: progress, roles, hosts and models.

import type { Live, LiveDriver, LiveHost, LiveModel, NamedCount, RunCard } from "../../api.ts";
import { compact, count, duration, percent } from "../format.ts";
import { Icon } from "../parts/icon.tsx";
import { Shares } from "../parts/shares.tsx";
import { Empty, Note, Skeleton } from "../parts/states.tsx";
import { numbers, TableHead } from "../parts/table-head.tsx";
import { visibleText } from "../parts/visible.tsx";

interface Props {
  readonly live: Live | null;
  readonly card: RunCard;
  readonly isConnected: boolean;
}

export function LiveTab({ live, card, isConnected }: Props) {
  if (card.state !== "running")
    return (
      <Empty title="This run is not live" icon="pause">
        Its state is {card.state}.
      </Empty>
    );
  if (live === null) return <Skeleton />;
  const { driver } = live;
  return (
    <div class="overview">
      {!isConnected && (
        <Note>The connection is lost. The page tries to reach the server again.</Note>
      )}
      <Progress live={live} card={card} />
      {driver === null ? (
        <Note tone="plain">
          Hosts, roles and models are on the driver's own page: start the run with{" "}
          <code>--view 127.0.0.1:7500</code>.
        </Note>
      ) : (
        <Driver driver={driver} />
      )}
      {live.errors.length > 0 && (
        <section class="card" aria-label="Errors by code">
          <h2 class="card-title">Errors by code</h2>
          <Shares counts={live.errors} tone={() => "failed"} />
        </section>
      )}
    </div>
  );
}

function Progress({ live, card }: { readonly live: Live; readonly card: RunCard }) {
  const done = card.counts.ok + card.counts.failed + card.counts.lost;
  const share = card.expected === null ? null : done / Math.max(1, card.expected);
  const facts: readonly (readonly [string, string])[] = [
    ["done", share === null ? count(done) : percent(share)],
    ["a second", live.perSecond === null ? "–" : live.perSecond.toFixed(1)],
    ["left", duration(live.leftMs)],
    ["elapsed", duration(live.driver?.elapsedMs ?? null)],
    ["in flight", live.driver === null ? "–" : count(live.driver.inFlight)],
  ];
  return (
    <section class="card" aria-label="Progress">
      <dl class="big-facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd class="number">{value}</dd>
          </div>
        ))}
      </dl>
      {share !== null && (
        <progress class="progress" max={1} value={share} aria-label="Records that are done" />
      )}
    </section>
  );
}

function Driver({ driver }: { readonly driver: LiveDriver }) {
  return (
    <>
      {driver.stopping && <Note>The run is stopping. It finishes the tasks in flight first.</Note>}
      {driver.waitedFor.length > 0 && (
        <Note>Requests wait for {driver.waitedFor.map(visibleText).join(", ")}.</Note>
      )}
      <div class="grid-2">
        <section class="card scroll-x" aria-label="Roles">
          <h2 class="card-title">Roles</h2>
          <Slots lines={driver.roles} />
        </section>
        <section class="card scroll-x" aria-label="Hosts">
          <h2 class="card-title">Hosts</h2>
          <Hosts hosts={driver.hosts} />
        </section>
      </div>
      <section class="card" aria-label="Models">
        <h2 class="card-title">Models</h2>
        <Models models={driver.models} hasHosts={driver.hosts.length > 0} />
      </section>
    </>
  );
}

interface Line {
  readonly name: string;
  readonly queued: number;
  readonly busy: number;
  readonly slots: number;
}

function Slots({ lines }: { readonly lines: readonly Line[] }) {
  return (
    <table class="table">
      <TableHead columns={["Role", "Slots", ...numbers("Busy", "Queued")]} />
      <tbody>
        {lines.map(({ name, queued, busy, slots }) => (
          <tr key={name}>
            <th scope="row">{visibleText(name)}</th>
            <td>
              <Meter value={busy} max={slots} label={`busy slots of ${name}`} />
            </td>
            <td class="right number">
              {count(busy)} <span class="muted">/ {count(slots)}</span>
            </td>
            <td class="right number">{count(queued)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Meter({
  value,
  max,
  label,
}: {
  readonly value: number;
  readonly max: number;
  readonly label: string;
}) {
  const share = Math.min(1, value / Math.max(1, max));
  return (
    // biome-ignore lint/a11y/useSemanticElements: browsers do not let a meter be styled alike.
    <span
      class="meter"
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={max}
      aria-valuenow={value}
    >
      <span class="fill-plain" style={{ width: `${share * 100}%` }} />
    </span>
  );
}

const HOST_ICONS = { alive: "check", leaving: "pause", gone: "cross" } as const;
const HOST_TONES = { alive: "ok", leaving: "warn", gone: "failed" } as const;

function Hosts({ hosts }: { readonly hosts: readonly LiveHost[] }) {
  if (hosts.length === 0) return <p class="muted">The driver runs every role itself.</p>;
  return (
    <table class="table">
      <TableHead columns={["Host", "State", "Roles", ...numbers("Busy", "Queued")]} />
      <tbody>
        {hosts.map((host) => (
          <tr key={host.name}>
            <th scope="row">{visibleText(host.name)}</th>
            <td>
              <span class={`badge badge-${HOST_TONES[host.state]}`}>
                <Icon name={HOST_ICONS[host.state]} size={12} />
                {host.state}
              </span>
            </td>
            <td class="wrap">{host.roles.map(visibleText).join(", ")}</td>
            <td class="right number">
              {count(host.busy)} <span class="muted">/ {count(host.slots)}</span>
            </td>
            <td class="right number">{count(host.queued)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Models({
  models,
  hasHosts,
}: {
  readonly models: readonly LiveModel[];
  readonly hasHosts: boolean;
}) {
  if (models.length === 0)
    return (
      <p class="muted">
        {hasHosts
          ? "The hosts ask the models. This page shows only requests of the driver."
          : "No model has been asked yet."}
      </p>
    );
  return (
    <div class="scroll-x">
      <table class="table">
        <TableHead
          columns={["Model", "Replica", "Window", ...numbers("In flight", "Requests"), "Errors"]}
        />
        <tbody>
          {models.map((model) => (
            <tr key={`${model.name} ${model.replica}`}>
              <th scope="row">{visibleText(model.name)}</th>
              <td class="muted">{visibleText(model.replica)}</td>
              <td>
                {model.window !== null && (
                  <Meter
                    value={model.inFlight}
                    max={model.window}
                    label={`requests of ${model.name} within its window`}
                  />
                )}
              </td>
              <td class="right number">
                {count(model.inFlight)}
                {model.window !== null && <span class="muted"> / {count(model.window)}</span>}
              </td>
              <td class="right number">{compact(model.requests)}</td>
              <td class="wrap">
                <ErrorCounts errors={model.errors} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function ErrorCounts({ errors }: { readonly errors: readonly NamedCount[] }) {
  if (errors.length === 0) return <span class="muted">none</span>;
  return (
    <>
      {errors.map(({ name, count: number }) => (
        <span key={name} class="chip chip-failed">
          {visibleText(name)} <span class="number">{count(number)}</span>
        </span>
      ))}
    </>
  );
}
