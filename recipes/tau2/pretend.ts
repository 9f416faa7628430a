// The simulated speakers. The user wants something for a few turns. The agent talks and calls tools
// at random, sometimes with sensible arguments. They exercise every part; their rewards mean
// nothing.

interface Message {
  readonly role: string;
}
interface Tool {
  readonly function: {
    readonly name: string;
    readonly parameters?: { readonly properties?: Readonly<Record<string, Property>> };
  };
}
interface Property {
  readonly type?: string;
}
interface Simulation {
  readonly random: () => number;
}
interface Asked {
  readonly messages: readonly Message[];
  readonly tools?: readonly Tool[];
  readonly origin: { readonly role: string; readonly turn: number } | null;
}

const PATIENCE_TURNS = 2;

export default function reply({ messages, tools = [], origin }: Asked, { random }: Simulation) {
  const pick = <T>(choices: readonly T[]): T => choices[Math.floor(random() * choices.length)] as T;
  const isUser = origin?.role === "user-simulator";
  const tool = tools.length > 0 && random() < (isUser ? 0.2 : 0.4) ? pick(tools) : null;
  if (tool !== null)
    return {
      role: "assistant" as const,
      content: null,
      tool_calls: [callOf(tool, messages.length, random)],
    };
  if (!isUser) return pick(ANSWERS);
  const turns = messages.filter(({ role }) => role === "assistant").length;
  return turns > PATIENCE_TURNS && random() < 0.4 ? "###STOP###" : pick(WISHES);
}

function callOf({ function: { name, parameters } }: Tool, index: number, random: () => number) {
  const values = Object.entries(parameters?.properties ?? {}).map(
    ([key, { type }]) => [key, drawValue(type, random)] as const,
  );
  return {
    id: `call_${index}`,
    type: "function" as const,
    function: { name, arguments: JSON.stringify(Object.fromEntries(values)) },
  };
}

function drawValue(type: string | undefined, random: () => number): unknown {
  if (type === "integer" || type === "number") return Math.floor(random() * 5);
  if (type === "boolean") return random() < 0.5;
  return type === "array" ? [] : `unknown_${Math.floor(random() * 10)}`;
}

const WISHES = [
  "I need help with my last order.",
  "Can you look that up for me?",
  "That is not what I asked for.",
  "Please go ahead.",
];
const ANSWERS = [
  "Could you tell me your user id?",
  "I am sorry, the policy does not allow that.",
  "Is there anything else?",
  "Let me see.",
];
