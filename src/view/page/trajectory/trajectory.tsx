// One trajectory: its time line, its conversation, and the facts beside them.

import { useEffect, useRef, useState } from "preact/hooks";
import type { RecordAnswer, RecordRef, Session } from "../../api.ts";
import { address, go, goUp, href, setQuery } from "../address.ts";
import { count } from "../format.ts";
import { useKeys } from "../keys.ts";
import { useLoaded } from "../loaded.ts";
import { StatusBadge } from "../parts/badge.tsx";
import { Icon } from "../parts/icon.tsx";
import { When } from "../parts/states.tsx";
import { visibleText } from "../parts/visible.tsx";
import { recordQuery } from "../records/query.ts";
import { Conversation, type ConversationHandle } from "./conversation.tsx";
import { Facts } from "./facts.tsx";

interface Props {
  readonly run: string;
  readonly reference: RecordRef;
  readonly session: Session;
}

export function TrajectoryView({ run, reference, session }: Props) {
  const { id, trial } = reference;
  const query = recordQuery();
  const key = `record ${run} ${id} ${trial} ${JSON.stringify(query)}`;
  const loaded = useLoaded(key, (source) => source.record(run, reference, query));
  useKeys([
    { key: "u", does: "Back to the records", act: () => goUp(address.value) },
    { key: "/", does: "Search all records", act: () => searchAll(run) },
  ]);
  return (
    <When loaded={loaded} what="The record" lines={14}>
      {(record) => <Trajectory key={key} {...{ run, reference, session, record }} />}
    </When>
  );
}

/** A search reads all records, so it stands over their list. */
function searchAll(run: string): void {
  go(href(["run", run, "records"], { focus: "search" }));
}

interface LoadedProps extends Props {
  readonly record: RecordAnswer;
}

function Trajectory({ run, reference, session, record }: LoadedProps) {
  const [areFactsOpen, setFactsOpen] = useState(false);
  const handle = useRef<ConversationHandle>(null);
  const plain = address.value.query["text"] === "plain";
  const kept = Number(address.value.query["hop"] ?? -1);
  const [at, setAt] = useState(Number.isInteger(kept) ? kept : -1);
  const last = record.hops.length - 1;
  const show = (index: number) => {
    const next = Math.max(0, Math.min(last, index));
    setAt(next);
    setQuery({ hop: next });
    handle.current?.show(next);
  };
  const { firstError } = record;
  const showError = () => {
    // A step that failed at once has left no hop: its error stands at the end.
    if (firstError === null || record.hops[firstError]?.error === undefined) {
      handle.current?.show(last);
      requestAnimationFrame(() => document.querySelector(".ending")?.scrollIntoView());
    } else show(firstError);
  };
  const open = (ref: RecordRef | null) => {
    if (ref !== null) go(addressOf(run, ref));
  };
  useKeys([
    { key: "j", does: "Next step", act: () => show(at + 1) },
    { key: "k", does: "Previous step", act: () => show(at - 1) },
    { key: "l", does: "Next record", act: () => open(record.next) },
    { key: "h", does: "Previous record", act: () => open(record.previous) },
    { key: "e", does: "First error", act: showError },
    {
      key: "m",
      does: "Markdown or plain text",
      act: () => setQuery({ text: plain ? "" : "plain" }),
    },
  ]);
  useEffect(() => {
    if (at > 0) handle.current?.show(at);
  }, []);
  return (
    <div class={`trajectory${areFactsOpen ? " shows-facts" : ""}`}>
      <Head
        {...{ run, record, plain, showError, open }}
        areFactsOpen={areFactsOpen}
        toggleFacts={() => setFactsOpen(!areFactsOpen)}
      />
      <Conversation
        {...{ run, reference, record, plain, show }}
        at={at}
        open={(handleNow) => {
          handle.current = handleNow;
        }}
      />
      <Facts {...{ run, reference, session, record, show }} />
    </div>
  );
}

function addressOf(run: string, { id, trial }: RecordRef): string {
  const { hop: _, ...query } = address.value.query;
  return href(["run", run, "record", id, trial], query);
}

interface HeadProps {
  readonly run: string;
  readonly record: RecordAnswer;
  readonly plain: boolean;
  readonly showError: () => void;
  readonly open: (ref: RecordRef | null) => void;
  readonly areFactsOpen: boolean;
  readonly toggleFacts: () => void;
}

function Head({ run, record, plain, showError, open, areFactsOpen, toggleFacts }: HeadProps) {
  const { row, head, position, matched, previous, next } = record;
  return (
    <header class="record-head">
      <h1 class="record-title">
        {visibleText(row.id)}
        <span class="muted"> #{row.trial}</span>
      </h1>
      <StatusBadge status={row.status} />
      <span class="record-stop">{visibleText(row.stop)}</span>
      <Trials run={run} record={record} />
      <span class="grow" />
      {(head.error !== null || record.firstError !== null) && (
        <button type="button" class="button button-failed" onClick={showError}>
          <Icon name="alert" size={14} /> First error
        </button>
      )}
      <fieldset class="segments">
        <legend class="visually-hidden">Text</legend>
        {(["", "plain"] as const).map((mode) => (
          <button
            key={mode}
            type="button"
            class="segment"
            aria-pressed={plain === (mode === "plain")}
            onClick={() => setQuery({ text: mode })}
          >
            {mode === "" ? "Markdown" : "Plain"}
          </button>
        ))}
      </fieldset>
      <button
        type="button"
        class="button only-narrow"
        aria-expanded={areFactsOpen}
        onClick={toggleFacts}
      >
        Facts
      </button>
      <nav class="record-nav" aria-label="Records">
        <button
          type="button"
          class="button-quiet"
          aria-label="Previous record"
          title="Previous record (h)"
          disabled={previous === null}
          onClick={() => open(previous)}
        >
          <Icon name="left" />
        </button>
        <span class="number muted">
          {position === null ? "–" : count(position + 1)} / {count(matched)}
        </span>
        <button
          type="button"
          class="button-quiet"
          aria-label="Next record"
          title="Next record (l)"
          disabled={next === null}
          onClick={() => open(next)}
        >
          <Icon name="right" />
        </button>
      </nav>
    </header>
  );
}

/** The trials of the same row, and the way to see them beside each other. */
function Trials({ run, record }: { readonly run: string; readonly record: RecordAnswer }) {
  const { row, trials } = record;
  if (trials.length < 2) return null;
  const other = trials.find((trial) => trial !== row.trial) ?? row.trial;
  return (
    <a
      class="button"
      href={href(["run", run, "row", row.id], {
        a: Math.min(row.trial, other),
        b: Math.max(row.trial, other),
      })}
    >
      <Icon name="columns" size={14} /> {trials.length} trials
    </a>
  );
}
