// Judgements of people on the records of a run, and their agreement.

import type { Agreement, AnnotationsAnswer, RunAnswer } from "../../api.ts";
import { address, href, setQuery } from "../address.ts";
import { age, count, percent, plural } from "../format.ts";
import { useLoaded } from "../loaded.ts";
import { VerdictBadge } from "../parts/badge.tsx";
import { Shares } from "../parts/shares.tsx";
import { Empty, Note, When } from "../parts/states.tsx";
import { numbers, TableHead } from "../parts/table-head.tsx";
import { visibleText } from "../parts/visible.tsx";

const LATEST_MAX = 50;

export function PeopleTab({ run, answer }: { readonly run: string; readonly answer: RunAnswer }) {
  const loaded = useLoaded(`annotations ${run}`, (source) => source.annotations(run));
  return (
    <When loaded={loaded} what="The annotations">
      {(said) =>
        said.annotations.length === 0 ? (
          <Empty title="Nobody has judged a record of this run yet" icon="person">
            <p>
              Open a record and press <kbd>a</kbd> to accept it, <kbd>x</kbd> to reject it or{" "}
              <kbd>c</kbd> to write a comment. The server keeps your judgement in{" "}
              <code>annotations.jsonl</code>.
            </p>
          </Empty>
        ) : (
          <People run={run} said={said} answer={answer} />
        )
      }
    </When>
  );
}

interface PeopleProps {
  readonly run: string;
  readonly said: AnnotationsAnswer;
  readonly answer: RunAnswer;
}

function People({ run, said, answer }: PeopleProps) {
  const threshold = Number(address.value.query["threshold"] ?? 1);
  const agreement = useLoaded(`agreement ${run} ${threshold}`, (source) =>
    source.agreement(run, threshold),
  );
  return (
    <div class="overview">
      {said.broken > 0 && <Note>{plural(said.broken, "line")} of the file cannot be read.</Note>}
      <div class="grid-2">
        <section class="card" aria-label="Verdicts by person">
          <h2 class="card-title">Verdicts by person</h2>
          <ByPerson said={said} />
        </section>
        <section class="card" aria-label="Labels">
          <h2 class="card-title">Labels</h2>
          {answer.labels.length === 0 ? (
            <p class="muted">There are no labels yet.</p>
          ) : (
            <Shares
              counts={answer.labels}
              to={(label) => href(["run", run, "records"], { label })}
            />
          )}
        </section>
      </div>
      <section class="card scroll-x" aria-label="Agreement">
        <div class="card-head">
          <h2 class="card-title">Agreement</h2>
          <label class="field field-small">
            Minimum score of an accepted record
            <input
              type="number"
              step="0.1"
              value={threshold}
              onChange={(event) => setQuery({ threshold: event.currentTarget.value })}
            />
          </label>
        </div>
        <When loaded={agreement} what="The agreement" lines={3}>
          {(found) => <AgreementTable lines={[...found.people, ...found.score]} />}
        </When>
      </section>
      <section class="card" aria-label="Latest">
        <h2 class="card-title">Latest</h2>
        <Latest run={run} said={said} />
      </section>
    </div>
  );
}

function ByPerson({ said }: { readonly said: AnnotationsAnswer }) {
  return (
    <table class="table">
      <TableHead columns={["Person", ...numbers("Accepted", "Rejected", "Comments")]} />
      <tbody>
        {said.people.map((person) => {
          const own = said.annotations.filter(({ who, stale }) => who === person && !stale);
          const number = (test: (one: (typeof own)[number]) => boolean) =>
            count(own.filter(test).length);
          return (
            <tr key={person}>
              <th scope="row">{visibleText(person)}</th>
              <td class="right number">{number(({ verdict }) => verdict === "accepted")}</td>
              <td class="right number">{number(({ verdict }) => verdict === "rejected")}</td>
              <td class="right number">{number(({ comment }) => comment !== "")}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function AgreementTable({ lines }: { readonly lines: readonly Agreement[] }) {
  if (lines.length === 0)
    return (
      <p class="muted">No two people have judged the same record, and no record has a score.</p>
    );
  return (
    <table class="table">
      <TableHead
        columns={[
          "Between",
          ...numbers("Both judged", "Agree"),
          {
            name: "kappa",
            label: (
              <abbr title="Cohen's kappa: 1 is full agreement, 0 is the agreement of chance">
                κ
              </abbr>
            ),
            isNumber: true,
          },
          ...numbers("Both accept", "Only first", "Only second", "Both reject"),
        ]}
      />
      <tbody>
        {lines.map((line) => (
          <tr key={`${line.a} ${line.b}`}>
            <th scope="row">
              {visibleText(line.a)} and {visibleText(line.b)}
            </th>
            <td class="right number">{count(line.both)}</td>
            <td class="right number">{line.agree === null ? "–" : percent(line.agree)}</td>
            <td class="right number">
              {line.kappa === null ? "–" : line.kappa.toFixed(2).replace("-", "−")}
            </td>
            {line.table.map((value, index) => (
              <td key={index} class="right number muted">
                {count(value)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Latest({ run, said }: { readonly run: string; readonly said: AnnotationsAnswer }) {
  const now = Date.now();
  const latest = [...said.annotations].sort((a, b) => b.at.localeCompare(a.at));
  return (
    <ul class="latest">
      {latest.slice(0, LATEST_MAX).map((one) => (
        <li key={`${one.who} ${one.id} ${one.trial}`}>
          <a href={href(["run", run, "record", one.id, one.trial])}>
            {visibleText(one.id)} #{one.trial}
          </a>
          {one.verdict !== null && <VerdictBadge verdict={one.verdict} />}
          {one.labels.map((label) => (
            <span key={label} class="chip">
              {visibleText(label)}
            </span>
          ))}
          <span class="latest-comment">{visibleText(one.comment)}</span>
          <span class="muted small">
            {visibleText(one.who)}, {age(one.at, now)}
            {one.stale && ", about a record that a retry replaced"}
          </span>
        </li>
      ))}
    </ul>
  );
}
