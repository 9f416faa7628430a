// The messages that a hop's model was sent, fetched when they are wanted.

import { useState } from "preact/hooks";
import type { PromptsAnswer } from "../../api.ts";
import { useSource } from "../loaded.ts";
import { Icon } from "../parts/icon.tsx";
import { Note, Problem, Skeleton } from "../parts/states.tsx";
import { visibleText } from "../parts/visible.tsx";
import { JsonTree } from "../text/json-tree.tsx";
import { RichText } from "../text/rich-text.tsx";

interface Props {
  readonly run: string;
  readonly id: string;
  readonly trial: number;
  readonly hop: number;
  readonly plain: boolean;
}

export function Prompts({ run, id, trial, hop, plain }: Props) {
  const source = useSource();
  const [answer, setAnswer] = useState<PromptsAnswer | Error | null>(null);
  const [isWanted, setWanted] = useState(false);
  const fetch = (isOpen: boolean) => {
    setWanted(true);
    if (!isOpen || (answer !== null && !(answer instanceof Error))) return;
    setAnswer(null);
    source.prompts(run, { id, trial }, hop).then(setAnswer, (problem: unknown) => {
      setAnswer(problem instanceof Error ? problem : new Error(String(problem)));
    });
  };
  return (
    <details class="part part-prompt" onToggle={(event) => fetch(event.currentTarget.open)}>
      <summary>
        <Icon name="prompt" size={14} />
        <span class="part-title">Prompt</span>
      </summary>
      <div class="part-body">
        {answer === null ? (
          isWanted && <Skeleton lines={3} />
        ) : answer instanceof Error ? (
          <Problem title="The prompt could not be read" error={answer} />
        ) : (
          <Shown answer={answer} plain={plain} />
        )}
      </div>
    </details>
  );
}

function Shown({ answer, plain }: { readonly answer: PromptsAnswer; readonly plain: boolean }) {
  const { system, prompt, tools, problem } = answer;
  return (
    <>
      {problem !== null && <Note tone="plain">{visibleText(problem)}</Note>}
      {system !== null && <Prompt title="system" text={system} plain={plain} />}
      {prompt !== null && <Prompt title="user" text={prompt} plain={plain} />}
      {tools.length > 0 && (
        <>
          <p class="prompt-title">tools</p>
          <JsonTree value={tools} open={0} />
        </>
      )}
      {system === null && prompt === null && tools.length === 0 && problem === null && (
        <p class="muted">This step had no prompt of its own.</p>
      )}
    </>
  );
}

function Prompt({
  title,
  text,
  plain,
}: {
  readonly title: string;
  readonly text: string;
  readonly plain: boolean;
}) {
  return (
    <>
      <p class="prompt-title">{title}</p>
      <div class="prompt-text">
        <RichText text={text} plain={plain} />
      </div>
    </>
  );
}
