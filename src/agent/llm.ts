// The llm agent asks a model for one chat completion; the message is the result. The request comes
// from prompt templates over the task, or from a user's module. With a schema, the answer is
// checked, and asked for once more when it does not fit.

import { MatrixError } from "../error.ts";
import type {
  ChatAnswer,
  ChatMessage,
  ChatRequest,
  Model,
  RejectedAnswer,
} from "../model/contract.ts";
import { unansweredOf } from "../model/endpoint/stops.ts";
import { hopCount } from "../task/encoded.ts";
import type { JsonObject } from "../task/json.ts";
import { type Later, whenHere } from "../task/later.ts";
import { deriveSeed } from "../task/seed.ts";
import { addSpent, sumPaid } from "../task/spent.ts";
import type { Task, TaskLimit, Unanswered } from "../task/task.ts";
import { spentBy } from "../task/task-limit.ts";
import type { Attach } from "./attachments.ts";
import { withOwnCallIds } from "./call-ids.ts";
import type { Agent, AgentAnswer, AgentContext } from "./contract.ts";
import { conversationOf, mergeNeighbours, ownView } from "./conversation.ts";
import { promptTask } from "./prompt-task.ts";
import type { ModelRequest, RequestWriter } from "./request.ts";
import type { AnswerSchema } from "./schema.ts";
import { requireRoom } from "./task-limit.ts";
import type { CompiledTemplate } from "./template.ts";

/** Endpoints take seeds of different width; every endpoint takes 31 bits. */
const SEED_MODULUS = 2 ** 31;
const USUAL_ENDS: ReadonlySet<string> = new Set(["stop", "tool_calls"]);

export interface LlmRole {
  readonly name: string;
  readonly model: Pick<Model, "id" | "chat">;
  readonly system: CompiledTemplate | null;
  readonly prompt: CompiledTemplate | null;
  /** The roles that the role sees; null for its own view. */
  readonly conversation: ReadonlySet<string> | null;
  readonly sampling: JsonObject;
  readonly tools: readonly JsonObject[] | null;
  readonly schema: AnswerSchema | null;
  /** Incomplete and malformed answers with which the task goes on. */
  readonly accepts: ReadonlySet<Unanswered | "malformed">;
  /** The limit of each task; null without one. */
  readonly limit: TaskLimit | null;
  /** A module that replaces system, prompt, conversation and tools. */
  readonly request: RequestWriter | null;
  /** Puts the row's images and audio beside the prompt. */
  readonly attach: Attach | null;
}

export function createLlmAgent(role: LlmRole): Agent {
  return { run: (task, context) => ask(role, task, context) };
}

/** The request for a task in its present state. */
export function renderRequest(role: Omit<LlmRole, "model">, task: Task): Later<ModelRequest> {
  if (role.request !== null)
    return whenHere(role.request(task), (written) => ({
      ...written,
      sampling: { ...written.sampling, ...role.sampling },
    }));
  return {
    messages: renderMessages(role, task),
    sampling: role.sampling,
    ...(role.tools === null ? {} : { tools: role.tools }),
  };
}

function renderMessages(
  role: Pick<LlmRole, "name" | "system" | "prompt" | "conversation">,
  task: Task,
): ChatMessage[] {
  const { history } = promptTask(task);
  const variables = {
    row: task.row,
    state: task.state,
    history,
    last: history.at(-1)?.result ?? null,
    role: role.name,
    id: task.rowId,
    trial: task.trial,
  };
  const messages: ChatMessage[] = [];
  if (role.system !== null) messages.push({ role: "system", content: role.system(variables) });
  if (role.prompt !== null) messages.push({ role: "user", content: role.prompt(variables) });
  const shown =
    role.conversation === null
      ? ownView(task.history, role.name, role.prompt !== null).flat()
      : conversationOf(task.history, role.name, role.conversation);
  return mergeNeighbours([...messages, ...shown]);
}

async function ask(role: LlmRole, task: Task, context: AgentContext): Promise<AgentAnswer> {
  const written = await renderRequest(role, task);
  if (role.attach === null) return askWith(role, task, context, written);
  const messages = await role.attach(written.messages, task.row);
  return askWith(role, task, context, { ...written, messages });
}

async function askWith(
  role: LlmRole,
  task: Task,
  context: AgentContext,
  written: ModelRequest,
): Promise<AgentAnswer> {
  const request: ChatRequest = {
    sampling: role.sampling,
    ...written,
    seed: deriveSeed(task.seed, role.name, hopCount(task)) % SEED_MODULUS,
    ...(role.schema === null ? {} : { schema: role.schema.definition }),
    ...(role.accepts.has("malformed") ? { takesMalformed: true } : {}),
    origin: {
      row: task.rowId,
      trial: task.trial,
      attempt: task.attempt,
      mayRepeat: task.mayRepeat ?? false,
      role: role.name,
      turn: task.history.reduce((turns, hop) => turns + (hop.role === role.name ? 1 : 0), 0),
    },
  };
  const missed: AgentAnswer[] = [];
  const miss: Miss = (answer, problem) => {
    const unused = answerOf(role.model, answer, null);
    missed.push(unused);
    context.missed(unused, problem);
  };
  const chat = async (asked: ChatRequest): Promise<ChatAnswer> => {
    const answer = await role.model.chat(asked, context.signal, (rejected) =>
      miss(rejected, rejected.problem),
    );
    return withOwnCallIds(answer, asked.messages, task.history);
  };
  const again = (repair: ChatRequest): Promise<ChatAnswer> => {
    const { usage, cost = 0 } = sumPaid(missed);
    if (role.limit !== null)
      requireRoom(role.limit, task, addSpent(spentBy(task), { ...usage, cost }));
    return chat(repair);
  };
  const first = await chat(request);
  const stop = stopOf(role, first);
  const answer =
    role.schema === null || stop !== null
      ? answerOf(role.model, first, stop)
      : await askWithSchema(role, role.schema, request, first, again, miss);
  return missed.length === 0 ? answer : { ...answer, ...sumPaid([...missed, answer]) };
}

/** Notes an answer that was paid for and cannot be used. */
type Miss = (answer: ChatAnswer | RejectedAnswer, problem: string) => void;

/** The reason why the task ends with this answer; null when the task goes on. */
function stopOf({ accepts }: LlmRole, answer: ChatAnswer): Unanswered | null {
  const reason = unansweredOf(answer);
  return reason === null || accepts.has(reason) ? null : reason;
}

/** The checked answer goes into the message as `parsed`, a convention of the OpenAI client. */
async function askWithSchema(
  role: LlmRole,
  schema: AnswerSchema,
  request: ChatRequest,
  first: ChatAnswer,
  chat: (request: ChatRequest) => Promise<ChatAnswer>,
  miss: Miss,
): Promise<AgentAnswer> {
  const checked = schema.check(first.message.content);
  if (checked.ok) return answerOf(role.model, first, null, { parsed: checked.value });
  miss(first, checked.problem);
  const repair: ChatMessage[] = [
    ...request.messages,
    { role: "assistant", content: first.message.content ?? "" },
    {
      role: "user",
      content: `That answer does not fit the schema: ${checked.problem}. Answer again, with the JSON alone.`,
    },
  ];
  const second = await chat({ ...request, messages: repair });
  const stop = stopOf(role, second);
  if (stop !== null) return answerOf(role.model, second, stop);
  const value = schema.check(second.message.content);
  if (value.ok) return answerOf(role.model, second, null, { parsed: value.value });
  miss(second, value.problem);
  throw new MatrixError(
    "schema_mismatch",
    `the answer does not fit the schema, even after it was asked for again: ${value.problem}`,
  );
}

/** The finish reason stays in the result unless it is a usual one. */
function answerOf(
  model: LlmRole["model"],
  answer: Omit<ChatAnswer, "rejected">,
  stop: Unanswered | null,
  more: JsonObject = {},
): AgentAnswer {
  const { message, finishReason, simulated = false, usage, cost, responseModel, server } = answer;
  return {
    model: simulated ? `simulated:${model.id}` : model.id,
    usage,
    ...(cost === undefined ? {} : { cost }),
    asked: {
      finishReasons: [finishReason],
      ...(responseModel === undefined ? {} : { responseModel }),
      ...(server === undefined ? {} : { server }),
    },
    result: {
      ...message,
      ...more,
      ...(USUAL_ENDS.has(finishReason) ? {} : { finish_reason: finishReason }),
    },
    ...(stop === null ? {} : { stop }),
  };
}
