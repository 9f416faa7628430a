// Judging of a record by people: a verdict, labels and a comment, by mouse or by keys.

import { useRef, useState } from "preact/hooks";
import type { Annotate, Annotation, RecordRef, Session, Verdict } from "../../api.ts";
import { age } from "../format.ts";
import { useKeys } from "../keys.ts";
import { useSource } from "../loaded.ts";
import { VerdictBadge } from "../parts/badge.tsx";
import { Icon } from "../parts/icon.tsx";
import { visibleText } from "../parts/visible.tsx";
import { keep, recall } from "../theme.ts";

const WHO = "matrix.who";

interface Props {
  readonly run: string;
  readonly reference: RecordRef;
  readonly session: Session;
  readonly annotations: readonly Annotation[];
}

export function Judge({ run, reference, session, annotations }: Props) {
  const source = useSource();
  const [who, setWho] = useState(recall(WHO) ?? session.who);
  const [said, setSaid] = useState(annotations);
  const [problem, setProblem] = useState<string | null>(null);
  const own = said.find((one) => one.who === who && !one.stale) ?? null;
  const others = said.filter((one) => one.who !== who || one.stale);
  const tell = (change: Omit<Annotate, "who" | "id" | "trial">) => {
    setProblem(null);
    source.annotate(run, { ...change, ...reference, who }).then(
      ({ annotation }) =>
        setSaid((before) => [annotation, ...before.filter((one) => one.who !== annotation.who)]),
      (error: unknown) => setProblem(error instanceof Error ? error.message : String(error)),
    );
  };
  const rename = (name: string) => {
    const tidy = name.trim() || session.who;
    setWho(tidy);
    keep(WHO, tidy);
  };
  if (!session.canAnnotate && said.length === 0) return null;
  return (
    <section class="facts-part judge" aria-label="Judgement">
      <h2>Judgement</h2>
      {session.canAnnotate && <Own key={who} {...{ own, who, tell, rename }} />}
      {problem !== null && (
        <p class="scan-problem" role="alert">
          {problem}
        </p>
      )}
      {others.length > 0 && <Others others={others} />}
    </section>
  );
}

interface OwnProps {
  readonly own: Annotation | null;
  readonly who: string;
  readonly tell: (change: Omit<Annotate, "who" | "id" | "trial">) => void;
  readonly rename: (name: string) => void;
}

function Own({ own, who, tell, rename }: OwnProps) {
  const comment = useRef<HTMLTextAreaElement>(null);
  const label = useRef<HTMLInputElement>(null);
  const verdict = own?.verdict ?? null;
  const judge = (next: Verdict) => tell({ verdict: verdict === next ? null : next });
  useKeys([
    { key: "a", does: "Accept", act: () => judge("accepted") },
    { key: "x", does: "Reject", act: () => judge("rejected") },
    { key: "t", does: "Add a label", act: () => label.current?.focus() },
    { key: "c", does: "Write a comment", act: () => comment.current?.focus() },
  ]);
  return (
    <>
      <div class="verdicts">
        <VerdictButton verdict="accepted" title="Accept" hint="a" now={verdict} judge={judge} />
        <VerdictButton verdict="rejected" title="Reject" hint="x" now={verdict} judge={judge} />
      </div>
      <Labels labels={own?.labels ?? []} field={label} set={(labels) => tell({ labels })} />
      <label class="visually-hidden" for="comment">
        Comment
      </label>
      <textarea
        ref={comment}
        id="comment"
        class="input"
        rows={2}
        placeholder="Comment (c)"
        defaultValue={own?.comment ?? ""}
        onKeyDown={(event) => {
          const isDone = event.key === "Enter" && (event.ctrlKey || event.metaKey);
          if (isDone || event.key === "Escape") event.currentTarget.blur();
        }}
        onBlur={(event) => {
          const text = event.currentTarget.value.trim();
          if (text !== (own?.comment ?? "")) tell({ comment: text });
        }}
      />
      <label class="who">
        <Icon name="person" size={13} />
        <span class="visually-hidden">Your name</span>
        <input
          class="input-quiet"
          defaultValue={who}
          onBlur={(event) => rename(event.currentTarget.value)}
          onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
        />
      </label>
    </>
  );
}

interface VerdictProps {
  readonly verdict: Verdict;
  readonly title: string;
  readonly hint: string;
  readonly now: Verdict | null;
  readonly judge: (verdict: Verdict) => void;
}

function VerdictButton({ verdict, title, hint, now, judge }: VerdictProps) {
  return (
    <button
      type="button"
      class={`button verdict verdict-${verdict}`}
      aria-pressed={now === verdict}
      onClick={() => judge(verdict)}
    >
      <Icon name={verdict === "accepted" ? "check" : "cross"} size={14} />
      {title} <kbd>{hint}</kbd>
    </button>
  );
}

interface LabelsProps {
  readonly labels: readonly string[];
  readonly field: { current: HTMLInputElement | null };
  readonly set: (labels: readonly string[]) => void;
}

function Labels({ labels, field, set }: LabelsProps) {
  return (
    <div class="labels">
      {labels.map((label) => (
        <button
          key={label}
          type="button"
          class="chip chip-button"
          aria-label={`Remove the label ${label}`}
          onClick={() => set(labels.filter((one) => one !== label))}
        >
          {visibleText(label)} <Icon name="cross" size={11} />
        </button>
      ))}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const { current } = field;
          const label = current?.value.trim() ?? "";
          if (label !== "" && !labels.includes(label)) set([...labels, label]);
          if (current !== null) current.value = "";
        }}
      >
        <label class="visually-hidden" for="label">
          Label
        </label>
        <input
          ref={field}
          id="label"
          class="input-quiet"
          placeholder="Label (t)"
          autocomplete="off"
          onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()}
        />
      </form>
    </div>
  );
}

function Others({ others }: { readonly others: readonly Annotation[] }) {
  const now = Date.now();
  return (
    <ul class="others">
      {others.map((one) => (
        <li key={one.who}>
          <span class="others-head">
            <strong>{visibleText(one.who)}</strong>
            {one.verdict !== null && <VerdictBadge verdict={one.verdict} />}
            <span class="muted small">{age(one.at, now)}</span>
          </span>
          {one.labels.map((label) => (
            <span key={label} class="chip">
              {visibleText(label)}
            </span>
          ))}
          {one.comment !== "" && <p class="others-comment">{visibleText(one.comment)}</p>}
          {one.stale && <p class="muted small">This is about a record that a retry replaced.</p>}
        </li>
      ))}
    </ul>
  );
}
