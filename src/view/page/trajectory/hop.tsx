// A hop in the conversation: who acted, what it said, and what it took.

import { memo } from "preact/compat";
import type { HopBody, HopLine } from "../../api.ts";
import { compact, duration, money, plural } from "../format.ts";
import { Icon } from "../parts/icon.tsx";
import { visibleText } from "../parts/visible.tsx";
import { Part, Result, type Shown } from "./message.tsx";
import { OpenFolds } from "./open-folds.ts";
import { Prompts } from "./prompts.tsx";

interface Props extends Shown {
  readonly line: HopLine;
  /** The content of the step; null while it is on its way. */
  readonly body: HopBody | null;
  readonly colour: string;
  readonly isAt: boolean;
  readonly isOpen: boolean;
  readonly toggle: () => void;
  readonly run: string;
  readonly id: string;
  readonly trial: number;
}

export const HopCard = memo(function HopCard(props: Props) {
  const { line, body, colour, isAt, isOpen, toggle, plain, text } = props;
  const isCode = line.model === undefined;
  return (
    <OpenFolds value={{ isOpen, toggle }}>
      <article
        class={`hop${isAt ? " is-at" : ""}${isCode ? " is-code" : ""}`}
        style={{ "--role": colour }}
        aria-label={`Step ${line.hop}, ${line.role}`}
      >
        <HopHead line={line} />
        {line.error !== undefined && (
          <p class="hop-error">
            <Icon name="cross" size={13} /> {visibleText(line.error)}
          </p>
        )}
        {body === null ? (
          <Waiting chars={line.chars} />
        ) : (
          <>
            {body.missed.map((missed, index) => (
              <Part
                key={index}
                icon="prompt"
                title="Answer that was paid for and not used"
                note={missed.problem}
              >
                <Result content={missed.result} isCode={false} {...{ plain, text }} />
              </Part>
            ))}
            {(body.result.value !== null || body.result.text !== null) && (
              <Result content={body.result} isCode={isCode} {...{ plain, text }} />
            )}
          </>
        )}
        {!isCode && <Prompts {...props} hop={line.hop} />}
      </article>
    </OpenFolds>
  );
});

function HopHead({ line }: { readonly line: HopLine }) {
  const { hop, role, branch, model, startMs, runMs, queueMs, usage, cost, tries, host } = line;
  const timing = `${duration(queueMs)} in the queue, then ${duration(runMs)}, on ${host}`;
  return (
    <header class="hop-head">
      <span class="hop-number number">{hop}</span>
      <span class="hop-role">{visibleText(role)}</span>
      {branch !== undefined && <span class="chip">branch {branch}</span>}
      {model !== undefined && <span class="hop-model">{visibleText(model)}</span>}
      {tries !== undefined && <span class="chip">{plural(tries, "try", "tries")}</span>}
      <span class="grow" />
      <span class="hop-facts number">
        {usage !== undefined && (
          <span title={`${usage.prompt_tokens} tokens in, ${usage.completion_tokens} out`}>
            {compact(usage.prompt_tokens)} → {compact(usage.completion_tokens)} tok
          </span>
        )}
        {cost !== undefined && <span title="cost">{money(cost)}</span>}
        <span title={timing}>{duration(runMs)}</span>
        <span class="hop-at" title="since the task was admitted">
          +{duration(Math.max(0, startMs))}
        </span>
      </span>
    </header>
  );
}

/** Grey lines, about as many as the text will have, so that little moves when it comes. */
function Waiting({ chars }: { readonly chars: number }) {
  const lines = Math.max(1, Math.min(12, Math.round(chars / 90)));
  return (
    <div class="skeleton" aria-hidden="true">
      {Array.from({ length: lines }, (_, index) => (
        <span key={index} class={`skeleton-line skeleton-${index % 4}`} />
      ))}
    </div>
  );
}
