// Every chat template that TRL ships, over an export to trl-sft with tool calls and reasoning. The
// expectations were checked by hand against what each template is made to write.

import { expect, test } from "bun:test";
import { join } from "node:path";
import type { JsonObject } from "../../../src/task/json.ts";
import { withFolder } from "../../parts/folder.ts";
import { matrix } from "../../parts/program.ts";
import {
  calls,
  type Made,
  said,
  TOOL_LOOP,
  toolResult,
  writeRun,
} from "../../parts/run-directory.ts";
import { load } from "./python.ts";

const KIT: readonly JsonObject[] = [
  {
    type: "function",
    function: {
      name: "find",
      description: "Finds people.",
      parameters: {
        type: "object",
        properties: {
          name: { type: "string", description: "A name." },
          limit: { type: "integer", description: "A bound." },
        },
        required: ["name"],
      },
    },
  },
];

const CALL = calls("c1", "find", '{"name": "Ann",  "limit": 10}');
const [FIRST] = CALL["tool_calls"] as readonly JsonObject[];
const SECOND = { ...FIRST, id: "c2", function: { name: "find", arguments: '{"name":"Bo"}' } };

const RECORDS: readonly Made[] = [
  {
    id: "one call",
    row: { question: "Who is first?", kit: KIT },
    history: [
      ["solver", { ...CALL, reasoning: "I look." }],
      ["tools", [toolResult("c1", "found")]],
      ["solver", { ...said("Ann."), reasoning_content: "She was found." }],
    ],
  },
  {
    id: "two calls beside text",
    row: { question: "Who is first?", kit: KIT },
    history: [
      [
        "solver",
        { ...CALL, content: "Wait.", reasoning: "I look.", tool_calls: [FIRST ?? {}, SECOND] },
      ],
      ["tools", [toolResult("c1", "found"), toolResult("c2", "gone")]],
      ["solver", said("Her.")],
    ],
  },
];

interface Expected {
  readonly templates: readonly string[];
  /** The rendered conversation after its question, or the error. */
  readonly rendered: string;
  /** Parts of the second conversation that are rendered: the text, each call, the reasoning. */
  readonly second: { readonly text: boolean; readonly calls: number; readonly reasoning: boolean };
}

/** The names of a template and of its patch for training. */
const both = (...names: readonly string[]) => names.flatMap((name) => [name, `${name}_training`]);

const NOTHING = { text: false, calls: 0, reasoning: false };
const ALL = { text: true, calls: 2, reasoning: true };

const QWEN_TOOL =
  "<|im_end|>\n<|im_start|>user\n<tool_response>\nfound\n</tool_response><|im_end|>\n";
const XML_CALL =
  "<tool_call>\n<function=find>\n<parameter=name>\nAnn\n</parameter>\n<parameter=limit>\n10\n" +
  "</parameter>\n</function>\n</tool_call>";
const GEMMA_CALL =
  '<|tool_call>call:find{limit:10,name:<|"|>Ann<|"|>}<tool_call|>' +
  '<|tool_response>response:find{value:<|"|>found<|"|>}<tool_response|>';
const GLM =
  "<|assistant|>\n<think>I look.</think>\n<tool_call>find\n<arg_key>name</arg_key>\n" +
  "<arg_value>Ann</arg_value>\n<arg_key>limit</arg_key>\n<arg_value>10</arg_value>\n" +
  "</tool_call><|observation|>\n<tool_response>\nfound\n</tool_response><|assistant|>\n" +
  "<think>She was found.</think>\nAnn.";
const LFM =
  "<|im_end|>\n<|im_start|>assistant\n<think>I look.</think><|tool_call_start|>" +
  "[find(name='Ann', limit=10)]<|tool_call_end|><|im_end|>\n<|im_start|>tool\nfound" +
  "<|im_end|>\n<|im_start|>assistant\n<think>She was found.</think>Ann.<|im_end|>\n";

const EXPECTED: readonly Expected[] = [
  // Templates that know no tools.
  {
    templates: both("cohere", "cohere2", "gemma3"),
    rendered: "TemplateError: Conversation roles must alternate user/assistant/user/assistant/...",
    second: NOTHING,
  },
  {
    templates: both("gemma"),
    rendered: "TemplateError: System role not supported",
    second: NOTHING,
  },
  {
    templates: both("llava_next"),
    rendered: "TemplateError: Only user and assistant roles are supported!",
    second: NOTHING,
  },
  {
    templates: both("idefics3", "smolvlm"),
    rendered:
      "<end_of_utterance>\nAssistant: <end_of_utterance>\nTool: found<end_of_utterance>\n" +
      "Assistant: Ann.<end_of_utterance>\n",
    second: { ...NOTHING, text: true },
  },
  {
    templates: both("lfm2"),
    rendered:
      "<|im_end|>\n<|im_start|>assistant\n<|im_end|>\n<|im_start|>tool\n<|tool_response_start|>" +
      "found<|tool_response_end|><|im_end|>\n<|im_start|>assistant\nAnn.<|im_end|>\n",
    second: { ...NOTHING, text: true },
  },
  {
    templates: both("llama3"),
    rendered:
      "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n<|eot_id|><|start_header_id|>" +
      "tool<|end_header_id|>\n\nfound<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n" +
      "Ann.<|eot_id|>",
    second: { ...NOTHING, text: true },
  },
  {
    templates: both("phi3", "phi3_5"),
    rendered: "<|end|>\n<|assistant|>\n<|end|>\n<|assistant|>\nAnn.<|end|>\n</s>",
    second: { ...NOTHING, text: true },
  },
  {
    templates: both("qwen2_5_vl"),
    rendered:
      "<|im_end|>\n<|im_start|>assistant\n<|im_end|>\n<|im_start|>tool\nfound<|im_end|>\n" +
      "<|im_start|>assistant\nAnn.<|im_end|>\n",
    second: { ...NOTHING, text: true },
  },
  // Templates that lose calls, or take them as text alone; their README says so.
  {
    templates: both("deepseek_r1_distill"),
    rendered:
      "<｜Assistant｜><｜end▁of▁sentence｜><｜tool▁outputs▁begin｜><｜tool▁output▁begin｜>found" +
      "<｜tool▁output▁end｜><｜tool▁outputs▁end｜>Ann.<｜end▁of▁sentence｜>",
    second: { ...NOTHING, text: true },
  },
  {
    templates: ["deepseekv3"],
    rendered: 'TypeError: can only concatenate str (not "dict") to str',
    second: NOTHING,
  },
  // Templates with calls and without reasoning.
  {
    templates: ["deepseekv3_training"],
    rendered:
      "<｜Assistant｜><｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>find\n" +
      '```json\n{"name": "Ann", "limit": 10}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>' +
      "<｜end▁of▁sentence｜><｜tool▁outputs▁begin｜><｜tool▁output▁begin｜>found" +
      "<｜tool▁output▁end｜><｜tool▁outputs▁end｜>Ann.<｜end▁of▁sentence｜>",
    second: { text: true, calls: 2, reasoning: false },
  },
  {
    templates: ["gemma4_v2"],
    rendered:
      '<turn|>\n<|turn>model\n<|tool_call>call:find{limit:10,name:<|"|>Ann<|"|>}<tool_call|>' +
      "<turn|>\n<|turn>tool\nfound<turn|>\n<|turn>model\nAnn.<turn|>\n",
    second: { text: true, calls: 2, reasoning: false },
  },
  {
    templates: both("lfm2_v2"),
    rendered:
      "<|im_end|>\n<|im_start|>assistant\n<|tool_call_start|>[find(name='Ann', limit=10)]" +
      "<|tool_call_end|><|im_end|>\n<|im_start|>tool\n<|tool_response_start|>found" +
      "<|tool_response_end|><|im_end|>\n<|im_start|>assistant\nAnn.<|im_end|>\n",
    second: { text: true, calls: 2, reasoning: false },
  },
  {
    templates: ["llama3_1", "llama3_2"],
    rendered:
      '<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n{"name": "find", "parameters": ' +
      '{"name": "Ann", "limit": 10}}<|eot_id|><|start_header_id|>ipython<|end_header_id|>\n\n' +
      '"found"<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nAnn.<|eot_id|>',
    // They refuse two calls in one turn.
    second: NOTHING,
  },
  {
    templates: both("qwen2_5", "qwen3_instruct_2507", "qwen3_vl"),
    rendered:
      '<|im_end|>\n<|im_start|>assistant\n<tool_call>\n{"name": "find", "arguments": ' +
      `{"name": "Ann", "limit": 10}}\n</tool_call>${QWEN_TOOL}<|im_start|>assistant\nAnn.` +
      "<|im_end|>\n",
    second: { text: true, calls: 2, reasoning: false },
  },
  // Templates with calls and reasoning.
  {
    templates: ["gemma4", "gemma4_v3", "gemma4_v4"],
    rendered:
      "<turn|>\n<|turn>model\n<|channel>thought\nI look.\n<channel|>" +
      `${GEMMA_CALL}Ann.<turn|>\n`,
    second: ALL,
  },
  {
    templates: ["gemma4_v5"],
    rendered:
      `<turn|>\n<|turn>model\n<|channel>thought\nI look.\n<channel|>${GEMMA_CALL}` +
      "<|channel>thought\nShe was found.\n<channel|>Ann.<turn|>\n",
    second: ALL,
  },
  {
    templates: both("diffusion_gemma"),
    rendered:
      `<turn|>\n<|turn>model\n<|channel>thought\nI look.\n<channel|>${GEMMA_CALL}` +
      "<|turn>model\n<|channel>thought\nShe was found.\n<channel|>Ann.<turn|>\n",
    second: ALL,
  },
  { templates: ["glm4moe"], rendered: GLM, second: ALL },
  { templates: ["glm4moe_training"], rendered: `${GLM}<|user|>`, second: ALL },
  {
    // It takes one call a turn, and drops reasoning and text before calls once an answer follows.
    templates: both("gptoss"),
    rendered:
      "<|end|><|start|>assistant to=functions.find<|channel|>commentary json<|message|>" +
      '{"name": "Ann", "limit": 10}<|call|><|start|>functions.find to=assistant<|channel|>' +
      'commentary<|message|>"found"<|end|><|start|>assistant<|channel|>analysis<|message|>' +
      "She was found.<|end|><|start|>assistant<|channel|>final<|message|>Ann.<|return|>",
    second: { text: false, calls: 1, reasoning: false },
  },
  {
    templates: ["lfm2_2_5_v2", "lfm2_2_5_vl"],
    rendered: LFM,
    second: ALL,
  },
  {
    // It reads `thinking` alone, which is empty beside text and calls.
    templates: ["lfm2_2_5"],
    rendered: LFM,
    second: { ...ALL, reasoning: false },
  },
  {
    // Its protocol has no text beside calls.
    templates: both("muse_glimmer"),
    rendered:
      "<|eot|><|start|>assistant to=self<|message|>I look.<|eom|><|start|>assistant to=find" +
      '<|message|><atem:function_calls>\n<atem:invoke name="find">\n<atem:parameter name="name">' +
      'Ann</atem:parameter>\n<atem:parameter name="limit">10</atem:parameter>\n</atem:invoke>\n' +
      '</atem:function_calls><|eot|><|start|>tool find<|message|><tool_output name="find">\n' +
      "found\n</tool_output><|eot|><|start|>assistant to=self<|message|>She was found.<|eom|>" +
      "<|start|>assistant to=user<|message|>Ann.<|eot|>",
    second: { text: false, calls: 2, reasoning: true },
  },
  {
    templates: both("nemotron_3_5_lightning", "nemotron_3_ultra"),
    rendered:
      `<|im_end|>\n<|im_start|>assistant\n<think>\nI look.</think>\n${XML_CALL}\n<|im_end|>\n` +
      "<|im_start|>user\n<tool_response>\nfound\n</tool_response>\n<|im_end|>\n" +
      "<|im_start|>assistant\n<think>\nShe was found.</think>Ann.<|im_end|>\n",
    second: ALL,
  },
  {
    templates: both("nemotron_3_nano", "nemotron_3_super"),
    rendered:
      `<|im_end|>\n<|im_start|>assistant\n<think>\nI look.\n</think>\n${XML_CALL}\n<|im_end|>\n` +
      "<|im_start|>user\n<tool_response>\nfound\n</tool_response>\n<|im_end|>\n" +
      "<|im_start|>assistant\n<think>\nShe was found.\n</think>\nAnn.<|im_end|>\n",
    second: ALL,
  },
  {
    templates: both("qwen3"),
    rendered:
      '<|im_end|>\n<|im_start|>assistant\n<think>\nI look.\n</think>\n\n<tool_call>\n{"name": ' +
      `"find", "arguments": {"name": "Ann", "limit": 10}}\n</tool_call>${QWEN_TOOL}` +
      "<|im_start|>assistant\n<think>\nShe was found.\n</think>\n\nAnn.<|im_end|>\n",
    second: ALL,
  },
  {
    templates: both("qwen3_5_nothink", "qwen3_5_think", "qwen3_6", "qwen3_8"),
    rendered:
      `<|im_end|>\n<|im_start|>assistant\n<think>\nI look.\n</think>\n\n${XML_CALL}` +
      `${QWEN_TOOL}<|im_start|>assistant\n<think>\nShe was found.\n</think>\n\nAnn.<|im_end|>\n`,
    second: ALL,
  },
];

/** The parts of the second conversation that a template has rendered. */
function partsOf(rendered: string): Expected["second"] {
  if (/^\w+Error: /.test(rendered)) return NOTHING;
  // A call names the one whom it looks for before the tool's answer.
  const [asked = ""] = rendered.split("found");
  return {
    text: rendered.includes("Wait."),
    calls: ["Ann", "Bo"].filter((name) => asked.includes(name)).length,
    reasoning: rendered.includes("I look."),
  };
}

test("every chat template of TRL renders the tool calls and the reasoning that it can hold", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "run"), TOOL_LOOP, RECORDS);
    const args = ["export", "run", "--to", "trl-sft", "-o", "out.jsonl", "--tools", "row.kit"];
    const { code, stderr } = await matrix(args, { cwd: folder });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const found = await load<Record<string, readonly [string, string]>>(
      folder,
      "templates",
      join(folder, "out.jsonl"),
    );
    if (found === null) return;
    const rendered = Object.entries(found).map(([name, [first, second]]) => [
      name,
      { first, second: partsOf(second) },
    ]);
    const expected = EXPECTED.flatMap(({ templates, rendered: first, second }) =>
      templates.map((name) => [name, { first, second }] as const),
    );
    expect(Object.fromEntries(rendered)).toEqual(Object.fromEntries(expected));
  }));
