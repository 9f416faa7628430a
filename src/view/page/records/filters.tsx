// The filters: text, an expression, and what the index knows.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { RecordQuery, RunAnswer, RunCard, Status } from "../../api.ts";
import { address, setQuery } from "../address.ts";
import { compact } from "../format.ts";
import { useKeys } from "../keys.ts";
import { Icon } from "../parts/icon.tsx";
import { visibleText } from "../parts/visible.tsx";

interface Props {
  readonly answer: RunAnswer;
  readonly card: RunCard;
  readonly query: RecordQuery;
}

export function Filters({ answer, card, query }: Props) {
  const { focus } = address.value.query;
  useEffect(() => {
    if (focus === undefined) return;
    document.getElementById(focus)?.focus();
    setQuery({ focus: undefined });
  }, [focus]);
  useKeys([
    { key: "/", does: "Search the text", act: () => document.getElementById("search")?.focus() },
  ]);
  const options = (names: readonly string[]) =>
    names.map((name) => [encodeURIComponent(name), name] as const);
  const codes = [...new Set(answer.errors.map(({ code }) => code))];
  return (
    <search class="filters">
      <TextFilter id="search" name="q" value={query.q ?? ""} placeholder="Search all text">
        <Icon name="search" size={14} />
      </TextFilter>
      <TextFilter
        id="where"
        name="where"
        value={query.where ?? ""}
        placeholder='CEL: score > 0.5 && row.topic == "algebra"'
        isCode
      >
        <span class="field-sign">ƒ</span>
      </TextFilter>
      <StatusFilter card={card} query={query} />
      <Choice
        label="Ended by"
        name="stop"
        value={query.stop}
        options={options(answer.stopReasons.map(({ name }) => name))}
      />
      {codes.length > 0 && (
        <Choice label="Error" name="error" value={query.error} options={options(codes)} />
      )}
      <Choice
        label="Verdict"
        name="verdict"
        value={query.verdict}
        options={options(["accepted", "rejected", "disputed", "none"])}
      />
      {answer.labels.length > 0 && (
        <Choice
          label="Label"
          name="label"
          value={query.label}
          options={options(answer.labels.map(({ name }) => name))}
        />
      )}
    </search>
  );
}

interface TextFilterProps {
  readonly id: string;
  readonly name: "q" | "where";
  readonly value: string;
  readonly placeholder: string;
  readonly isCode?: boolean;
  readonly children: ComponentChildren;
}

/** A search reads whole records, so it begins with Enter. */
function TextFilter({ id, name, value, placeholder, isCode, children }: TextFilterProps) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const commit = () => setQuery({ [name]: text.trim() === "" ? undefined : text.trim() });
  return (
    <form
      class={`field field-${name}${isCode === true ? " field-code" : ""}`}
      onSubmit={(event) => {
        event.preventDefault();
        commit();
      }}
    >
      {children}
      <label class="visually-hidden" for={id}>
        {name === "q" ? "Search all text, then press Enter" : "CEL expression, then press Enter"}
      </label>
      <input
        id={id}
        type="search"
        spellcheck={false}
        autocomplete="off"
        placeholder={placeholder}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        onBlur={commit}
      />
    </form>
  );
}

const STATUSES: readonly Status[] = ["ok", "failed", "lost"];

function StatusFilter({ card, query }: { readonly card: RunCard; readonly query: RecordQuery }) {
  const chosen = (query.status ?? "").split(",").filter((name) => name !== "");
  const toggle = (status: Status) => {
    const next = chosen.includes(status)
      ? chosen.filter((one) => one !== status)
      : [...chosen, status];
    setQuery({ status: next.join(",") });
  };
  return (
    <fieldset class="segments">
      <legend class="visually-hidden">Status</legend>
      {STATUSES.filter((status) => card.counts[status] > 0).map((status) => (
        <button
          key={status}
          type="button"
          class={`segment segment-${status}`}
          aria-pressed={chosen.includes(status)}
          onClick={() => toggle(status)}
        >
          {status} <span class="number">{compact(card.counts[status])}</span>
        </button>
      ))}
    </fieldset>
  );
}

interface ChoiceProps {
  readonly label: string;
  readonly name: keyof RecordQuery & string;
  readonly value: string | undefined;
  readonly options: readonly (readonly [value: string, name: string])[];
}

function Choice({ label, name, value, options }: ChoiceProps) {
  const isKnown = value === undefined || options.some(([own]) => own === value);
  return (
    <label class="select">
      <span class="visually-hidden">{label}</span>
      <select
        value={value ?? ""}
        onChange={(event) => setQuery({ [name]: event.currentTarget.value })}
      >
        <option value="">{label}</option>
        {!isKnown && <option value={value}>{visibleText(value)}</option>}
        {options.map(([own, title]) => (
          <option key={own} value={own}>
            {visibleText(title)}
          </option>
        ))}
      </select>
    </label>
  );
}
