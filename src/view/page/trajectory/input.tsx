// The row of the dataset that a record began with, and the images that its roles were shown.

import type { Attachment, RecordAnswer, RecordRef } from "../../api.ts";
import { bytes, plural } from "../format.ts";
import { useSource } from "../loaded.ts";
import { Icon } from "../parts/icon.tsx";
import { Note } from "../parts/states.tsx";
import { visibleText } from "../parts/visible.tsx";
import { JsonTree } from "../text/json-tree.tsx";
import { RichText } from "../text/rich-text.tsx";
import { Fold } from "./fold.tsx";

interface Props {
  readonly run: string;
  readonly reference: RecordRef;
  readonly record: RecordAnswer;
  readonly plain: boolean;
}

export function Input({ run, reference, record, plain }: Props) {
  const { value, text } = record.input;
  const members =
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.entries(value)
      : null;
  return (
    <details class="card row-card" open>
      <summary>
        <h2 class="card-title">Row</h2>
        <span class="muted small">{members === null ? "" : plural(members.length, "member")}</span>
      </summary>
      {text !== null ? (
        <pre class="plain-text">{visibleText(text)}</pre>
      ) : members === null ? (
        <JsonTree value={value} />
      ) : (
        <dl class="members">
          {members.map(([name, own]) => (
            <div key={name}>
              <dt>{visibleText(name)}</dt>
              <dd>
                {typeof own === "string" ? (
                  <Fold size={own.length} lines={own.split("\n").length}>
                    <RichText text={own} plain={plain || isIndented(own)} />
                  </Fold>
                ) : (
                  <JsonTree value={own} open={0} />
                )}
              </dd>
            </div>
          ))}
        </dl>
      )}
      {record.attachmentProblem !== null && <Note>{visibleText(record.attachmentProblem)}</Note>}
      {record.attachments.length > 0 && (
        <ul class="attachments">
          {record.attachments.map((attachment, index) => (
            <li key={index}>
              <Attached attachment={attachment} run={run} reference={reference} />
            </li>
          ))}
        </ul>
      )}
    </details>
  );
}

/** Code keeps its indents; markdown would take them away. */
function isIndented(text: string): boolean {
  return /\n( {2,}|\t)\S/.test(text) && !/```|\$|^\s*([-*+>]|\d+\.)\s/m.test(text);
}

function Attached({
  attachment,
  run,
  reference,
}: {
  readonly attachment: Attachment;
  readonly run: string;
  readonly reference: RecordRef;
}) {
  const source = useSource();
  const { hash, kind, type, url, role } = attachment;
  const note = `for ${role}${attachment.bytes === null ? "" : `, ${bytes(attachment.bytes)}`}`;
  if (hash === null)
    return (
      <span class="foreign-image" title="The page loads no images from other servers">
        <Icon name="image" size={14} />
        <span class="muted">{visibleText(url ?? "")}</span>
      </span>
    );
  const address = source.attachmentAddress(run, reference, hash);
  return (
    <figure class="attachment">
      {kind === "image" ? (
        <a href={address} target="_blank" rel="noopener">
          <img src={address} alt={`what ${visibleText(role)} was shown`} loading="lazy" />
        </a>
      ) : (
        // biome-ignore lint/a11y/useMediaCaption: a recording of a dataset has no captions.
        <audio controls preload="none" src={address} />
      )}
      <figcaption>
        {visibleText(note)} {type !== null && <span class="muted">{visibleText(type)}</span>}
      </figcaption>
    </figure>
  );
}
