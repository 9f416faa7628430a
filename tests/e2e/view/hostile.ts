// Records that attack the page, and records that are large.

const RECORD = {
  ...{ format: "matrix-trajectory-1", trial: 0, seed: 1, attempt: 1, status: "ok" },
  ...{ stop_reason: "completed", score: 1, outcome: null, error: null, simulated: false },
  usage: { requests: 0, prompt_tokens: 0, completion_tokens: 0 },
  cost: null,
  timing: {
    ...{ admitted_at: "2026-11-30T20:00:00.000Z", ended_at: "2026-11-30T20:00:40.000Z" },
    ...{ total_ms: 40_000, queue_ms: 0, run_ms: 30_000 },
  },
  trace_id: null,
};

export const SCRIPT_ID = "<script>window.attacked=1</script>";
export const LONG_HOPS = 32_000;

const ATTACK = [
  "<script>window.attacked=1</script>",
  '<img src=x onerror="window.attacked=1"><svg onload="window.attacked=1"></svg>',
  "[script](javascript:window.attacked=1) [data](data:text/html,<script>1</script>)",
  "![pixel](https://elsewhere.example/pixel.png) [good](https://example.org/good)",
  "<iframe src=https://elsewhere.example></iframe> &lt;script&gt;",
  "$\\href{javascript:window.attacked=1}{x}$ $\\includegraphics{https://elsewhere.example/x}$",
  "```html\n<script>window.attacked=1</script>\n```",
].join("\n\n");

/** Lines of a file of records. */
export function hostileRecords(): readonly string[] {
  const deep = `${"[".repeat(3000)}1${"]".repeat(3000)}`;
  const records = [
    {
      ...{ ...RECORD, id: SCRIPT_ID, row: { question: ATTACK, "<b>name</b>": ATTACK } },
      outcome: { text: ATTACK },
      history: [
        hop(0, "<i>role</i>", {
          ...{ role: "assistant", content: ATTACK, reasoning_content: ATTACK },
          tool_calls: [
            { id: "1", function: { name: "<u>f</u>", arguments: `{"a": "${"</pre>"}"` } },
          ],
        }),
      ],
    },
    {
      ...{
        ...RECORD,
        id: "signs",
        row: { text: "\u001b[2J\u001b[31mred \u202eleft\u202c \u200b." },
      },
      history: [hop(0, "a", say("\u001b]0;title\u0007 and \u202egnitrevni\u202c"))],
    },
    {
      ...{ ...RECORD, id: "formulas" },
      row: { nested: `$${"\\frac{1}{".repeat(400)}1${"}".repeat(400)}$` },
      history: [hop(0, "a", say(`${"[".repeat(5000)}${"*".repeat(5000)} $\\def\\x{\\x\\x}\\x$`))],
    },
    { ...RECORD, id: "ten-megabytes", row: {}, history: [hop(0, "a", say("word ".repeat(2e6)))] },
    { ...RECORD, id: "no-steps", row: {}, history: [] },
    {
      ...{ ...RECORD, id: "long", row: { question: "How long?" } },
      history: Array.from({ length: LONG_HOPS }, (_, index) =>
        index % 4 < 2
          ? hop(index, index % 4 === 0 ? "student" : "teacher", say(`Message **${index}**: $x^2$.`))
          : hop(index, "judge", { index }, false),
      ),
    },
  ];
  const lines = records.map((record) => JSON.stringify(record));
  const nested = JSON.stringify({ ...RECORD, id: "deep", row: { q: 0 }, history: [] });
  return [...lines, nested.replace('"q":0', `"q":${deep}`)];
}

/** Small records, for lists. */
export function manyRecords(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) =>
    JSON.stringify({
      ...{ ...RECORD, id: `row-${index}`, score: (index % 7) / 6, row: { n: index }, history: [] },
    }),
  );
}

function say(content: string) {
  return { role: "assistant", content };
}

function hop(index: number, role: string, result: unknown, isModel = true) {
  return {
    ...{ hop: index, role, host: "driver", queue_ms: 0.1, run_ms: 0.8 },
    at: new Date(Date.UTC(2026, 10, 30, 20) + index).toISOString(),
    result,
    ...(isModel ? { model: "m" } : {}),
  };
}
