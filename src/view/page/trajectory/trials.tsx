// The trials of a row beside each other, with what differs.

import { useEffect } from "preact/hooks";
import type { HopBody, RecordAnswer, RecordRow } from "../../api.ts";
import { address, goUp, href, setQuery } from "../address.ts";
import { compact, count, duration, money, score } from "../format.ts";
import { useKeys } from "../keys.ts";
import { useLoaded } from "../loaded.ts";
import { StatusBadge } from "../parts/badge.tsx";
import { Empty, When } from "../parts/states.tsx";
import { numbers, TableHead } from "../parts/table-head.tsx";
import { visibleText } from "../parts/visible.tsx";
import { chatMessageOf, textOfPart } from "./chat.ts";
import { coloursOf } from "./roles.ts";
import { TextPair } from "./text-pair.tsx";

/** Steps that are compared; a difference of longer conversations is read record by record. */
const HOPS_MAX = 200;

export function TrialsView({ run, id }: { readonly run: string; readonly id: string }) {
  const loaded = useLoaded(`row ${run} ${id}`, (source) => source.trials(run, id));
  useKeys([{ key: "u", does: "Back to the records", act: () => goUp(address.value) }]);
  return (
    <div class="view">
      <div class="view-head">
        <h1 class="view-title">{visibleText(id)}</h1>
      </div>
      <When loaded={loaded} what="The trials">
        {({ trials }) =>
          trials.length === 0 ? (
            <Empty title="This row has no records" />
          ) : (
            <Trials run={run} id={id} trials={trials.toSorted((x, y) => x.trial - y.trial)} />
          )
        }
      </When>
    </div>
  );
}

interface TrialsProps {
  readonly run: string;
  readonly id: string;
  readonly trials: readonly RecordRow[];
}

function Trials({ run, id, trials }: TrialsProps) {
  const { query } = address.value;
  const chosen = (name: string, otherwise: RecordRow | undefined) =>
    trials.find(({ trial }) => String(trial) === query[name]) ?? otherwise ?? trials[0];
  const [a, b] = [chosen("a", trials[0]), chosen("b", trials[1])];
  // The address names what is shown, so that a link shows the same.
  useEffect(() => {
    if (a !== undefined && b !== undefined) setQuery({ a: a.trial, b: b.trial });
  }, [a?.trial, b?.trial]);
  return (
    <>
      <section class="card scroll-x" aria-label="All trials">
        <TrialTable run={run} id={id} trials={trials} a={a?.trial} b={b?.trial} />
      </section>
      {a !== undefined && b !== undefined && a !== b && <Pair run={run} a={a} b={b} />}
    </>
  );
}

interface TrialTableProps extends TrialsProps {
  readonly a: number | undefined;
  readonly b: number | undefined;
}

function TrialTable({ run, id, trials, a, b }: TrialTableProps) {
  return (
    <table class="table">
      <TableHead
        columns={[
          "Left",
          "Right",
          "Trial",
          "Status",
          "Ended by",
          ...numbers("Score", "Turns", "Tokens", "Cost", "Time"),
        ]}
      />
      <tbody>
        {trials.map((row) => (
          <tr key={row.trial}>
            {(["a", "b"] as const).map((side) => (
              <td key={side}>
                <input
                  type="radio"
                  name={side}
                  aria-label={`Show trial ${row.trial} ${side === "a" ? "left" : "right"}`}
                  checked={row.trial === (side === "a" ? a : b)}
                  onChange={() => setQuery({ [side]: row.trial })}
                />
              </td>
            ))}
            <th scope="row">
              <a href={href(["run", run, "record", id, row.trial])}>#{row.trial}</a>
            </th>
            <td>
              <StatusBadge status={row.status} />
            </td>
            <td>{visibleText(row.error ?? row.stop)}</td>
            <td class="right number">{score(row.score)}</td>
            <td class="right number">{count(row.turns)}</td>
            <td class="right number">{compact(row.tokens)}</td>
            <td class="right number">{money(row.cost)}</td>
            <td class="right number">{duration(row.ms)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface Side {
  readonly record: RecordAnswer;
  readonly bodies: readonly HopBody[];
}

function Pair({
  run,
  a,
  b,
}: {
  readonly run: string;
  readonly a: RecordRow;
  readonly b: RecordRow;
}) {
  const key = `pair ${run} ${a.id} ${a.trial} ${b.trial}`;
  const loaded = useLoaded(key, (source) => {
    const side = async (row: RecordRow): Promise<Side> => {
      const record = await source.record(run, row, {});
      const bodies: HopBody[] = [...record.first.hops];
      while (bodies.length < Math.min(record.hops.length, HOPS_MAX)) {
        const { hops } = await source.hops(run, row, bodies.length, HOPS_MAX - bodies.length);
        if (hops.length === 0) break;
        bodies.push(...hops);
      }
      return { record, bodies };
    };
    return Promise.all([side(a), side(b)]);
  });
  return (
    <When loaded={loaded} what="The trials">
      {([left, right]) => <Steps left={left} right={right} />}
    </When>
  );
}

function Steps({ left, right }: { readonly left: Side; readonly right: Side }) {
  const length = Math.max(left.record.hops.length, right.record.hops.length);
  const shown = Math.min(length, HOPS_MAX);
  const colours = coloursOf([...left.record.hops, ...right.record.hops]);
  return (
    <section class="pairs" aria-label="Steps of both trials">
      <p class="pair pair-head">
        <span>#{left.record.row.trial}</span>
        <span>#{right.record.row.trial}</span>
      </p>
      {Array.from({ length: shown }, (_, index) => {
        const [a, b] = [textOf(left, index), textOf(right, index)];
        const roles = [left.record.hops[index]?.role, right.record.hops[index]?.role];
        return <TextPair key={index} {...{ a, b, roles, colours, index }} />;
      })}
      {length > shown && (
        <p class="muted">{count(length - shown)} more steps are not compared here.</p>
      )}
    </section>
  );
}

/** The content of a hop, as text; null where the trial has no such hop. */
function textOf({ bodies }: Side, index: number): string | null {
  const body = bodies[index];
  if (body === undefined) return null;
  const { value, text } = body.result;
  if (text !== null) return text;
  const messages = (Array.isArray(value) ? value : [value]).map(chatMessageOf);
  const isChat = messages.length > 0 && messages.every((message) => message !== null);
  if (!isChat) return typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return messages
    .flatMap((message) => [
      ...(message?.content ?? []).map((part) => textOfPart(part) ?? "[image]"),
      ...(message?.calls ?? []).map((call) => `${call.name}(${call.arguments})`),
    ])
    .join("\n");
}
