// Requests with the whole text of their attachments, for code that reads them as an endpoint would.

import type { Attachment } from "./attachment.ts";
import type { ChatMessage, ChatRequest, ContentPart } from "./contract.ts";

/** The request with the texts of its attachments, as an endpoint gets it. */
export async function withTexts(request: ChatRequest): Promise<ChatRequest> {
  if (!request.messages.some(({ content }) => Array.isArray(content))) return request;
  return { ...request, messages: await Promise.all(request.messages.map(withTextParts)) };
}

async function withTextParts(message: ChatMessage): Promise<ChatMessage> {
  const { content } = message;
  if (content === null || typeof content === "string") return message;
  return { ...message, content: await Promise.all(content.map((part) => textPart(part))) };
}

/** The part with its content as text. */
export async function textPart(part: ContentPart): Promise<ContentPart<string>> {
  const textOf = async (content: string | Attachment): Promise<string> =>
    typeof content === "string" ? content : await content.text();
  if (part.type === "text") return part;
  if (part.type === "image_url")
    return { type: part.type, image_url: { url: await textOf(part.image_url.url) } };
  const { data, format } = part.input_audio;
  return { type: part.type, input_audio: { data: await textOf(data), format } };
}
