// A part of a message that is no text. Images within the record are shown; the page loads nothing
// from elsewhere.

import type { Json } from "../../../task/json.ts";
import { Icon } from "../parts/icon.tsx";
import { visibleText } from "../parts/visible.tsx";
import { JsonTree } from "../text/json-tree.tsx";
import { imageOfPart } from "./chat.ts";

/** Kinds that are pictures and nothing else: an SVG may hold a program. */
const OWN_IMAGE = /^data:image\/(png|jpeg|gif|webp);base64,[a-z0-9+/=\s]+$/i;

export function ChatImage({ part }: { readonly part: Json }) {
  const address = imageOfPart(part);
  if (address === null) return <JsonTree value={part} open={1} />;
  if (OWN_IMAGE.test(address)) return <img class="chat-image" src={address} alt="in the message" />;
  return (
    <span class="foreign-image" title="The page loads no images from other servers">
      <Icon name="image" size={14} />
      <span class="muted">{visibleText(address.slice(0, 200))}</span>
    </span>
  );
}
