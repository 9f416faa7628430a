// The content of a hop: a chat message, several of them, or any JSON.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { Content } from "../../api.ts";
import { compact, plural } from "../format.ts";
import { Icon } from "../parts/icon.tsx";
import { Visible, visibleText } from "../parts/visible.tsx";
import { JsonTree } from "../text/json-tree.tsx";
import { CodeBlock, RichText } from "../text/rich-text.tsx";
import { type ChatMessage, chatMessageOf, type ToolCall, textOfPart } from "./chat.ts";
import { ChatImage } from "./chat-image.tsx";
import { Fold } from "./fold.tsx";

export interface Shown {
  /** Text as it was written, without markdown. */
  readonly plain: boolean;
  /** Fetches a whole text, by the pointer of its clip; null where there is no more of it. */
  readonly text: ((at: string) => Promise<Blob>) | null;
}

interface Props extends Shown {
  readonly content: Content;
  /** The value is the result of code: it is shown small. */
  readonly isCode: boolean;
}

export function Result({ content, isCode, plain, text }: Props) {
  const { value, clips } = content;
  if (content.text !== null)
    return (
      <>
        <p class="muted small">This value is nested too deep for a tree. Its JSON begins:</p>
        <pre class="plain-text">{visibleText(content.text)}</pre>
      </>
    );
  const messages = (Array.isArray(value) ? value : [value]).map(chatMessageOf);
  const isChat = messages.length > 0 && messages.every((message) => message !== null);
  return (
    <>
      {isChat ? (
        messages.map((message, index) =>
          message === null ? null : <Message key={index} message={message} plain={plain} />,
        )
      ) : typeof value === "string" ? (
        <Fold size={value.length} lines={value.split("\n").length}>
          <RichText text={value} plain={plain} />
        </Fold>
      ) : (
        <JsonTree value={value} open={isCode ? 0 : 1} />
      )}
      {clips.map(({ at, chars }) => (
        <Clipped key={at} at={at} chars={chars} text={text} />
      ))}
    </>
  );
}

interface ClippedProps {
  readonly at: string;
  readonly chars: number;
  readonly text: Shown["text"];
}

function Clipped({ at, chars, text }: ClippedProps) {
  const [state, setState] = useState<"cut" | "loading" | "failed">("cut");
  const save = () => {
    if (text === null) return;
    setState("loading");
    text(at).then(
      (whole) => {
        saveFile(whole, "text.txt");
        setState("cut");
      },
      () => setState("failed"),
    );
  };
  return (
    <p class="clipped">
      <Icon name="alert" size={13} />
      <span>Cut short: the text has {compact(chars)} characters.</span>
      {text !== null && (
        <button type="button" class="button-link" disabled={state === "loading"} onClick={save}>
          Save all of it
        </button>
      )}
      <span role="status">{state === "failed" ? "The rest could not be read." : ""}</span>
    </p>
  );
}

function saveFile(content: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

function Message({ message, plain }: { readonly message: ChatMessage; readonly plain: boolean }) {
  const { reasoning, content, calls, refusal, rest, role, name } = message;
  const isTool = role === "tool";
  const body = (
    <>
      {reasoning !== null && (
        <Part icon="thought" title="Reasoning" note={plural(reasoning.length, "character")}>
          <RichText text={reasoning} plain={plain} />
        </Part>
      )}
      {content.map((part, index) => {
        const text = textOfPart(part);
        return text === null ? (
          <ChatImage key={index} part={part} />
        ) : (
          <Fold key={index} size={text.length} lines={text.split("\n").length}>
            {isTool ? <ToolText text={text} /> : <RichText text={text} plain={plain} />}
          </Fold>
        );
      })}
      {refusal !== null && (
        <p class="refusal">
          <Icon name="cross" size={13} /> <Visible text={refusal} />
        </p>
      )}
      {calls.map((call, index) => (
        <Call key={call.id ?? index} call={call} />
      ))}
      {rest !== null && (
        <Part icon="columns" title="Other members" note="">
          <JsonTree value={rest} open={1} />
        </Part>
      )}
    </>
  );
  if (!isTool) return <div class="message">{body}</div>;
  const whole = content.map((part) => textOfPart(part) ?? "").join(" ");
  return (
    <Part icon="right" title={`Result${name === null ? "" : ` of ${name}`}`} note={first(whole)}>
      {body}
    </Part>
  );
}

function Call({ call }: { readonly call: ToolCall }) {
  return (
    <Part icon="tool" title={call.name} note={first(call.arguments)} isCode>
      <CodeBlock code={pretty(call.arguments)} language="json" />
    </Part>
  );
}

/** Results of tools are JSON more often than prose. */
function ToolText({ text }: { readonly text: string }) {
  return /^\s*[[{]/.test(text) ? (
    <CodeBlock code={pretty(text)} language="json" />
  ) : (
    <div class="plain-text">
      <Visible text={text} />
    </div>
  );
}

interface PartProps {
  readonly icon: "thought" | "tool" | "right" | "columns" | "prompt";
  readonly title: string;
  readonly note: string;
  readonly isCode?: boolean;
  readonly children: ComponentChildren;
}

/** A part that is folded until it is wanted. */
export function Part({ icon, title, note, isCode, children }: PartProps) {
  return (
    <details class="part">
      <summary>
        <Icon name={icon} size={14} />
        <span class={`part-title${isCode === true ? " mono" : ""}`}>{visibleText(title)}</span>
        <span class="part-note">{visibleText(note)}</span>
      </summary>
      <div class="part-body">{children}</div>
    </details>
  );
}

function first(text: string): string {
  return text.slice(0, 160).replace(/\s+/g, " ");
}

/** JSON with line breaks. Arguments that a model wrote wrong stay as they are. */
function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
