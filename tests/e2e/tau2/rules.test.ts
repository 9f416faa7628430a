// Our rules beside the official orchestrator: with the same scripted speakers they make the same
// trajectory step by step, the same end, the same reward, and the same requests to both models.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { JsonObject } from "../../../src/task/json.ts";
import { createRandom } from "../../../src/task/seed.ts";
import type { Ending } from "../../../src/task/task.ts";
import { langgraphPython } from "../../parts/langgraph-python.ts";
import { Bridge, inProcess, python } from "./bridge.ts";
import { drawCase, KINDS } from "./draw.ts";
import {
  type Case,
  graphInPython,
  IN_TYPESCRIPT,
  type Reply,
  type Rules,
  rulesInPython,
  type Simulated,
  simulate,
} from "./simulate.ts";

const STOP = "###STOP###";
const MINUTES = 60_000;
// Each has its own bridge, whose start takes seconds on a busy machine.
setDefaultTimeout(MINUTES);
const RANDOM_CASES = Number(process.env["MATRIX_TAU2_CASES"] ?? 36);
const SEED = Number(process.env["MATRIX_TAU2_SEED"] ?? 1);

let calls = 0;
function call(
  name: string,
  input: JsonObject | string = {},
  content: string | null = null,
): JsonObject {
  return callAll([[name, input]], content);
}
function callAll(
  wanted: readonly (readonly [string, JsonObject | string])[],
  content: string | null = null,
): JsonObject {
  const tool_calls = wanted.map(([name, input]) => ({
    id: `call_${calls++}`,
    type: "function",
    function: { name, arguments: typeof input === "string" ? input : pythonText(input) },
  }));
  return { content, tool_calls };
}
/** JSON in the form of Python's json.dumps, so that texts can be compared. */
function pythonText(input: JsonObject): string {
  return `{${Object.entries(input)
    .map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`)
    .join(", ")}}`;
}

function withIds(message: JsonObject, id: string): JsonObject {
  const calls = message["tool_calls"] as readonly JsonObject[];
  return { ...message, tool_calls: calls.map((one) => ({ ...one, id })) };
}

const create = call("create_task", { user_id: "user_1", title: "Important Meeting" });
const wrong = (index: number) => ["get_task", { task_id: `no_${index}` }] as const;

function mock(assistant: readonly Reply[], user: readonly Reply[], more: Partial<Case> = {}): Case {
  const replies = { assistant, "user-simulator": user };
  return {
    domain: "mock",
    task_id: "create_task_1",
    solo: false,
    max_steps: 200,
    max_errors: 10,
    replies,
    ...more,
  };
}

const CASES: Readonly<Record<string, Case>> = {
  "a task done": mock([create, "Done."], ["Make it", STOP]),
  "a task not done": mock(["No."], ["Make it", STOP]),
  "a user that transfers": mock(["No."], ["Make it", "well ###TRANSFER### then"]),
  "a user that is out of scope at once": mock([], ["###OUT-OF-SCOPE###"]),
  "an agent that says the stop word, which is text": mock(
    [STOP, create, "Done."],
    ["Make it", "what?", STOP],
  ),
  "a stop at exactly max_steps": mock([create, "Done."], ["Make it", STOP], { max_steps: 5 }),
  "a stop one step before max_steps": mock([create, "Done."], ["Make it", STOP], { max_steps: 6 }),
  "max_steps that falls on a tool call": mock([create, "Done."], ["Make it", STOP], {
    max_steps: 2,
  }),
  "max_steps that falls on a tool's answer": mock([create, "Done."], ["Make it", STOP], {
    max_steps: 3,
  }),
  "one step only": mock([], ["Make it"], { max_steps: 1 }),
  "ten errors in one message": mock(
    [callAll(Array.from({ length: 10 }, (_, i) => wrong(i)))],
    ["Make it"],
  ),
  "twelve calls, all made, though the tenth error ends it": mock(
    [
      callAll([
        ...Array.from({ length: 11 }, (_, i) => wrong(i)),
        ["create_task", { user_id: "user_1", title: "Important Meeting" }] as const,
      ]),
    ],
    ["Make it"],
  ),
  "too many errors and max_steps at once": mock([callAll([wrong(1), wrong(2)])], ["Make it"], {
    max_steps: 3,
    max_errors: 2,
  }),
  "nine errors and then success": mock(
    [callAll(Array.from({ length: 9 }, (_, i) => wrong(i))), create, "Done."],
    ["Make it", STOP],
  ),
  "text beside calls, which the user never hears": mock(
    [{ ...create, content: "I am making it." }, "Done."],
    ["Make it", STOP],
  ),
  "the stop word inside a user's tool call, which is not a stop": mock(
    ["Go on.", create, "Done."],
    [call("get_users", {}, STOP), "Make it", STOP],
  ),
  "a user that calls a tool where it has none": mock(["Go on."], [call("get_users"), STOP]),
  "an empty message of the agent": mock([""], ["Make it"]),
  "a blank message of the user": mock([], [" \n"]),
  "arguments that are not JSON": mock([call("create_task", "{user: 1")], ["Make it"]),
  "arguments that are a list": mock([call("create_task", "[1]")], ["Make it"]),
  "arguments that are an empty text": mock([call("get_users", "")], ["Make it"]),
  "arguments of a wrong name": mock([call("create_task", { who: 1 }), "Done."], ["Make it", STOP]),
  "a call without a name": mock([call("", { far: 1 }), create, "Done."], ["Make it", STOP]),
  "calls with empty ids": mock(
    [withIds(create, ""), withIds(call("get_users"), ""), "Done."],
    ["Make it", STOP],
  ),
  "arguments that Python alone reads": mock(
    [
      callAll([
        ["create_task", '{"user_id": "user_1", "title": NaN}'],
        ["get_task", '{"task_id": -Infinity, "more": Infinity}'],
      ]),
      "Done.",
    ],
    ["Make it", STOP],
  ),
  "a whole number with 4,300 digits": mock(
    [call("get_task", `{"task_id": ${"9".repeat(4300)}}`), "Done."],
    ["Make it", STOP],
  ),
  "a whole number with 4,301 digits, which Python does not read": mock(
    [call("get_task", `{"task_id": -${"9".repeat(4301)}}`)],
    ["Make it"],
  ),
  "arguments with a minus before NaN": mock([call("get_task", '{"task_id": -NaN}')], ["Make it"]),
  "white space that is blank to Python alone": mock(["\x1c\x85"], ["Make it"]),
  "a byte order mark, which is no blank to Python": mock(["\ufeff"], ["Make it", STOP]),
  "the same call id twice": mock([create, create, "Done."], ["Make it", STOP]),
  "a task with a history": mock(
    [call("update_task_status", { task_id: "task_2", status: "completed" }), "Done."],
    ["Mark it", STOP],
    {
      task_id: "update_task_with_message_history",
    },
  ),
  "a history and max_steps": mock(["Why?"], ["Mark it"], {
    task_id: "update_task_with_message_history",
    max_steps: 2,
  }),
  "a task with initial data": mock(
    [call("update_task_status", { task_id: "task_2", status: "completed" }), "Done."],
    ["Mark it", STOP],
    {
      task_id: "update_task_with_initialization_data",
    },
  ),
  "a task with initial actions": mock(
    [call("update_task_status", { task_id: "task_2", status: "completed" }), "Done."],
    ["Mark it", STOP],
    {
      task_id: "update_task_with_initialization_actions",
    },
  ),
  solo: mock([create, call("done")], [], { solo: true }),
  "solo, done beside another call": mock(
    [
      callAll([
        ["get_users", {}],
        ["done", {}],
      ]),
    ],
    [],
    { solo: true },
  ),
  "solo, done at once": mock([call("done")], [], { solo: true }),
  "solo until max_steps": mock([create, create, create, create], [], { solo: true, max_steps: 4 }),
  "solo, done at max_steps": mock([create, call("done")], [], { solo: true, max_steps: 2 }),
  "solo, the stop word beside a call": mock([create, { ...create, content: STOP }], [], {
    solo: true,
  }),
  "solo, a text": mock(["I will not."], [], { solo: true }),
  "solo, a text after a call": mock([create, "All done."], [], { solo: true }),
  "solo, the stop word as text": mock([create, STOP], [], { solo: true }),
  "solo with errors": mock([callAll([wrong(1), wrong(2)]), create, call("done")], [], {
    solo: true,
    max_errors: 2,
  }),
};

const telecom = (
  assistant: readonly Reply[],
  user: readonly Reply[],
  more: Partial<Case> = {},
): Case => mock(assistant, user, { domain: "telecom", task_id: TELECOM_TASK, ...more });
const TELECOM_TASK = "[mobile_data_issue]airplane_mode_on|data_mode_off[PERSONA:None]";

const TELECOM_CASES: Readonly<Record<string, Case>> = {
  "a user with tools": telecom(
    ["Please toggle it.", "And data?", "Fine."],
    [
      "My data is off",
      call("toggle_airplane_mode"),
      "Done",
      callAll([
        ["toggle_data", {}],
        ["run_speed_test", {}],
      ]),
      "Works",
      STOP,
    ],
  ),
  "both sides with tools, and an agent that calls a user's tool": telecom(
    [call("get_customer_by_phone", { phone_number: "555-123-2002" }), call("toggle_data"), "Hm."],
    ["My data is off", call("toggle_data", {}, "Let me try ###STOP###"), STOP],
  ),
  "too many errors of both sides": telecom(
    [call("fly"), "And you?"],
    [
      "Hi",
      callAll([
        ["fly", {}],
        ["fly", {}],
      ]),
      STOP,
    ],
    { max_errors: 3 },
  ),
  "solo with the user's tools": telecom(
    [call("toggle_airplane_mode"), call("toggle_data"), call("done")],
    [],
    { solo: true },
  ),
};

describe.if(python !== null)("our rules and the official orchestrator", () => {
  test(
    "our rules and the official orchestrator agree on cases of the mock domain",
    async () => {
      const ended = await compare(Object.entries(CASES));
      expect(ended).toEqual({
        user_stop: 20,
        max_steps: 7,
        too_many_errors: 4,
        agent_stop: 3,
        failed: 12,
      });
    },
    2 * MINUTES,
  );

  test(
    "our rules and the official orchestrator agree on cases of telecom, where users have tools",
    async () =>
      expect(await compare(Object.entries(TELECOM_CASES))).toEqual({
        user_stop: 2,
        too_many_errors: 1,
        agent_stop: 1,
      }),
    2 * MINUTES,
  );

  test(
    `our rules and the official orchestrator agree on ${RANDOM_CASES} random conversations (MATRIX_TAU2_SEED=${SEED})`,
    async () => {
      const random = createRandom(SEED);
      const cases = Array.from({ length: RANDOM_CASES }, (_, index) => drawCase(random, index));
      const rows = new Map(KINDS.map((kind) => [kind as string, new Map<string, number>()]));
      await compare(
        cases.map((one, index) => [`random ${index}`, one] as const),
        (index, { termination_reason: end = "failed", reward_info }) => {
          const row = rows.get(KINDS[index % KINDS.length] ?? "");
          const isSolved = reward_info?.["reward"] === 1;
          for (const name of ["all", end, ...(isSolved ? ["reward 1"] : [])])
            row?.set(name, (row.get(name) ?? 0) + 1);
        },
      );
      for (const [kind, row] of rows)
        console.log(`${kind}: ${JSON.stringify(Object.fromEntries(row))}`);
      const ends = new Set([...rows.values()].flatMap((row) => [...row.keys()]));
      expect([...ends].sort()).toEqual([
        "agent_stop",
        "all",
        "failed",
        "max_steps",
        "reward 1",
        "too_many_errors",
        "user_stop",
      ]);
    },
    RANDOM_CASES * 5_000 + MINUTES,
  );

  test("a solo agent that answers with text begins anew, as an error of the official agent does", async () => {
    await using bridge = new Bridge(inProcess);
    const texts = ["I will not.", STOP, " "];
    const replies = [...texts, create, call("done")];
    const { ending } = await simulate(bridge, mock(replies, [], { solo: true }), { restarts: 3 });
    expect(ending).toMatchObject({
      status: "ok",
      score: 1,
      outcome: { termination_reason: "agent_stop", restarts: 3, steps: 2 },
    });
    const last = await simulate(bridge, mock(texts, [], { solo: true }), { restarts: 2 });
    expect(last.ending).toMatchObject({ status: "failed", score: null });
    expect(last.ending.error?.message).toContain("the assistant's message is empty, also after 2");
  });

  test("a solo agent's text is fed back to it with what it said", async () => {
    await using bridge = new Bridge(inProcess);
    const replies = ["I will not.", create, call("done")];
    const { ending, requests } = await simulate(bridge, mock(replies, [], { solo: true }), {
      malformed: "feed-back",
    });
    expect(ending).toMatchObject({ status: "ok", score: 1, outcome: { fed_back: 1, steps: 3 } });
    expect(requests[1]?.messages.slice(1)).toEqual([
      { role: "assistant", content: "I will not." },
      { role: "user", content: "Error: your message calls no tool. Nothing of it was done." },
    ]);
  });

  test("a wrong message begins the simulation anew, and the earlier messages stay in the record", async () => {
    await using bridge = new Bridge(inProcess);
    const replies = [create, "", call("create_task", "no JSON"), create, "Done."];
    const { ending, history } = await simulate(
      bridge,
      mock(replies, ["Make it", "Make it!", "Make it!!", STOP]),
      { restarts: 2 },
    );
    expect(ending).toMatchObject({
      status: "ok",
      score: 1,
      outcome: { termination_reason: "user_stop", restarts: 2, steps: 5 },
    });
    expect(messagesOf(ending).map(({ content }) => content)[1]).toBe("Make it!!");
    expect(history.filter(({ role }) => role === "tool-executor")).toHaveLength(6);
  });

  test("wrong messages without end are a failure, never a score", async () => {
    await using bridge = new Bridge(inProcess);
    const { ending } = await simulate(bridge, mock(["", ""], ["Make it", "Make it"]), {
      restarts: 1,
    });
    expect(ending).toMatchObject({
      status: "failed",
      score: null,
      error: { code: "orchestrator_failed" },
    });
    expect(ending.error?.message).toContain(
      "the assistant's message is empty, also after 1 restarts",
    );
  });

  test("a recipe may feed errors back to their model, and the record counts them", async () => {
    await using bridge = new Bridge(inProcess);
    const replies = ["", call("create_task", "no JSON"), create, "Done."];
    const { ending, requests } = await simulate(bridge, mock(replies, [" ", "Make it", STOP]), {
      malformed: "feed-back",
    });
    const outcome = {
      termination_reason: "user_stop",
      restarts: 0,
      fed_back: 3,
      errors: 3,
      steps: 8,
    };
    expect(ending).toMatchObject({ status: "ok", score: 1, outcome });
    // Each model hears its own errors alone, and the official messages hold no error.
    const told = requests.map(
      ({ side, messages }) =>
        [side, messages.at(-1)?.role, String(messages.at(-1)?.content)] as const,
    );
    expect(told.filter(([, , content]) => content.startsWith("Error: "))).toEqual([
      ["user", "user", "Error: your message is empty. Nothing of it was done."],
      ["assistant", "user", "Error: your message is empty. Nothing of it was done."],
      [
        "assistant",
        "user",
        "Error: your message calls create_task with arguments that are not a JSON object. Nothing of it was done.",
      ],
    ]);
    expect(messagesOf(ending).map(({ role }) => role)).toEqual([
      "assistant",
      "user",
      "assistant",
      "tool",
      "assistant",
      "user",
    ]);
  });

  test("errors that are fed back count towards the limit of errors", async () => {
    await using bridge = new Bridge(inProcess);
    const { ending } = await simulate(
      bridge,
      mock(Array(5).fill(""), ["Make it"], { max_errors: 5 }),
      { malformed: "feed-back" },
    );
    expect(ending).toMatchObject({
      status: "ok",
      score: 0,
      outcome: { termination_reason: "too_many_errors", fed_back: 5 },
    });
  });

  test("times grow from message to message", async () => {
    await using bridge = new Bridge(inProcess);
    const { ending } = await simulate(bridge, CASES["a task with a history"] as Case);
    const times = messagesOf(ending).map(({ timestamp }) => timestamp as string);
    expect(times).toHaveLength(9);
    expect(times).toEqual([...new Set(times)].sort());
    expect(times[0]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/);
  });
});

/** An official outcome; with `error`, it has nothing else. */
interface Outcome {
  readonly error?: string;
  readonly termination_reason?: string;
  readonly steps: number;
  readonly errors: number;
  readonly messages: readonly JsonObject[];
  readonly reward_info?: JsonObject;
  readonly requests: readonly JsonObject[];
}

/**
 * What the cases came to, as the official orchestrator has it: how many ended for each reason, and
 * how many it could not finish.
 */
async function compare(
  cases: readonly (readonly [string, Case])[],
  onEnd: (index: number, official: Outcome) => void = () => undefined,
): Promise<Record<string, number>> {
  await using bridge = new Bridge(inProcess);
  const languages = [
    ["TypeScript", IN_TYPESCRIPT],
    ["Python", await rulesInPython()],
    ...(langgraphPython === null
      ? []
      : ([["a graph in Python", await graphInPython(langgraphPython)]] as const)),
  ] as const;
  const { outcomes, written } = await runOfficial(cases.map(([, one]) => one));
  const ended: Record<string, number> = {};
  for (const [index, [title, one]] of cases.entries()) {
    const theirs = outcomes[index] as Outcome;
    for (const [language, rules] of languages) {
      const ours = await runOurs(bridge, one, written, rules);
      // A case that the official runner cannot finish has no score here either.
      if (theirs.error !== undefined)
        expect({ title, language, failed: ours, error: theirs.error }).toEqual({
          ...{ title, language },
          failed: null,
          error: theirs.error,
        });
      else expect({ title, language, ...ours }).toEqual({ title, language, ...theirs });
    }
    const reason = theirs.termination_reason ?? "failed";
    ended[reason] = (ended[reason] ?? 0) + 1;
    onEnd(index, theirs);
  }
  return ended;
}

/** Arguments of calls as Python writes them, by the text of the model. */
type Written = ReadonlyMap<string, string>;

/** Null where it fails. */
async function runOurs(
  bridge: Bridge,
  one: Case,
  written: Written,
  rules: Rules,
): Promise<Outcome | null> {
  const { ending, requests } = await simulate(bridge, one, {}, rules).catch(
    (thrown: Error & { kind?: string }) => {
      if (thrown.kind === undefined) throw thrown;
      return { ending: { outcome: null }, requests: [] };
    },
  );
  const { outcome } = ending;
  if (outcome === null) return null;
  const { termination_reason, steps, errors, reward_info, messages } = inPython(
    outcome,
    written,
  ) as unknown as Required<Outcome>;
  return {
    ...{ termination_reason, steps, errors, reward_info },
    messages: messages.map(plain),
    requests: requests.map((request) => inPython(sent(request), written)),
  };
}

/** The same value with the arguments of all calls as Python writes them. */
function inPython(value: JsonObject, written: Written): JsonObject {
  return JSON.parse(
    JSON.stringify(value, (name, part) =>
      name === "arguments" && typeof part === "string" ? (written.get(part) ?? part) : part,
    ),
  ) as JsonObject;
}

function messagesOf({ outcome }: Ending): readonly JsonObject[] {
  return (outcome as unknown as Outcome).messages;
}

/** The same messages without times and costs. */
function plain({
  role,
  content = null,
  id,
  requestor,
  error,
  tool_calls = null,
}: JsonObject): JsonObject {
  return role === "tool"
    ? { role, content, id: id ?? null, requestor: requestor ?? null, error: error ?? null }
    : { role: role ?? null, content, tool_calls };
}

/** A request in the form of the official client: without nulls, and with a call's name twice. */
function sent({ side, messages, tools, sampling = {} }: Simulated["requests"][number]): JsonObject {
  const worded = messages.map(({ tool_calls: calls, ...message }) => ({
    ...Object.fromEntries(Object.entries(message).filter(([, value]) => value !== null)),
    ...(calls === undefined
      ? {}
      : { tool_calls: calls.map((one) => ({ ...one, name: one.function.name })) }),
  }));
  return {
    side,
    messages: worded,
    tools: tools ?? null,
    tool_choice: sampling["tool_choice"] ?? null,
  } as unknown as JsonObject;
}

async function runOfficial(
  cases: readonly Case[],
): Promise<{ readonly outcomes: readonly Outcome[]; readonly written: Written }> {
  const script = join(import.meta.dir, "official.py");
  const child = Bun.spawn([python ?? "python3", script], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "ignore",
  });
  const texts = [
    ...new Set(cases.flatMap(({ replies }) => Object.values(replies).flat().flatMap(argumentsIn))),
  ];
  child.stdin.write([{ texts }, ...cases].map((one) => `${JSON.stringify(one)}\n`).join(""));
  child.stdin.end();
  const text = await new Response(child.stdout).text();
  const [written, ...outcomes] = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(outcomes).toHaveLength(cases.length);
  return {
    outcomes,
    written: new Map(texts.map((given, index) => [given, written[index] ?? given])),
  };
}

function argumentsIn(reply: Reply): readonly string[] {
  if (typeof reply === "string") return [];
  return ((reply["tool_calls"] ?? []) as unknown as readonly CallOfModel[]).map(
    (one) => one.function.arguments,
  );
}

interface CallOfModel {
  readonly function: { readonly arguments: string };
}
