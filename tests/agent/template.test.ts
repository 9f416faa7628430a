// Prompt templates: Jinja, and strict about holes.

import { expect, test } from "bun:test";
import { compileTemplate } from "../../src/agent/template.ts";
import { parseJson } from "../../src/task/exact.ts";

const render = (source: string, variables = {}) => compileTemplate(source, "t.md")(variables);

test("a template is Jinja over its variables, and a line of tags alone leaves no empty line", () => {
  const source =
    "{{ row.q }}\n{% for o in row.options %}\n{{ loop.index }}. {{ o | upper }}\n{% endfor %}\n{% if history %} again{% endif %}";
  expect(render(source, { row: { q: "Which?", options: ["a", "b"] }, history: [] })).toBe(
    "Which?\n1. A\n2. B\n",
  );
});

test("a compiled template renders again with other variables", () => {
  const template = compileTemplate("{{ a }}{{ b }}", "t.md");
  expect([template({ a: 1, b: 2 }), template({ a: "x", b: "y" })]).toEqual(["12", "xy"]);
});

test.each([
  ["{{ row.qestion }}", "`row.qestion` is undefined; row has a b, list"],
  ["{{ nothing }}", "`nothing` is undefined; there is row, key"],
  ['{{ row["a b"].c }}', '`row["a b"].c` is undefined'],
  ["{{ row.list[1] }}", "`row.list[1]` is undefined"],
  ["{{ row[key] }}", "`row[key]` is undefined"],
  ["{% if true %}{{ nothing }}{% endif %}", "`nothing` is undefined; there is row, key"],
  [
    "{% if false %}x{% else %}{{ nothing }}{% endif %}",
    "`nothing` is undefined; there is row, key",
  ],
  [
    "{% if false %}x{% elif true %}{{ nothing }}{% endif %}",
    "`nothing` is undefined; there is row, key",
  ],
  ["{% for i in [1] %}{{ nothing }}{% endfor %}", "`nothing` is undefined; there is row, key"],
  [
    "{% for i in [] %}x{% else %}{{ nothing }}{% endfor %}",
    "`nothing` is undefined; there is row, key",
  ],
])("the template %s fails instead of leaving a hole", (source, message) => {
  const variables = { row: { "a b": {}, list: [1] }, key: "k" };
  expect(() => render(source, variables)).toThrow(
    expect.objectContaining({ code: "prompt_failed", message: `template t.md: ${message}` }),
  );
});

test("a template that fails names ten of the keys that are there", () => {
  const row = Object.fromEntries(Array.from({ length: 11 }, (_, index) => [`k${index}`, index]));
  expect(() => render("{{ row.x }}", { row })).toThrow(
    "`row.x` is undefined; row has k0, k1, k2, k3, k4, k5, k6, k7, k8, k9, …",
  );
  expect(() => render("{{ row.x }}", { row: {} })).toThrow("`row.x` is undefined; row has nothing");
});

test.each([
  ['{{ row.x | default("none") }}', "none"],
  ["{% if row.y is defined %}y{% endif %}", ""],
  ["{% if row.y %}y{% else %}n{% endif %}", "n"],
  ["{{ row.nil }}", ""],
])("the template %s permits a hole", (source, text) => {
  expect(render(source, { row: { nil: null } })).toBe(text);
});

test("a template that does not parse is named", () => {
  expect(() => compileTemplate("{% if %}", "roles.a.prompt")).toThrow(
    expect.objectContaining({
      code: "recipe_invalid",
      message: expect.stringMatching(/^template roles\.a\.prompt: ./),
      cause: expect.anything(),
    }),
  );
});

test("text keeps its letters and is not escaped", () => {
  expect(render("{{ row.q }}", { row: { q: '<b>"ж"\u2028😀' } })).toBe('<b>"ж"\u2028😀');
});

test.each([
  ["{% for i in range(3) %}{{ i }}{% endfor %}", "012"],
  ["{% for i in range(1, 4) %}{{ i }}{% endfor %}", "123"],
  ["{% for i in range(1, 6, 2) %}{{ i }}{% endfor %}", "135"],
  ["{% for i in range(1, 7, 2) %}{{ i }}{% endfor %}", "135"],
  ["{% for i in range(5, 1) %}{{ i }}{% endfor %}.", "."],
  ["{% for i in range(3, 0, -1) %}{{ i }}{% endfor %}", "321"],
  [
    "{{ true == True }}{{ false == False }}{{ none is none }}{{ None is none }}",
    "truetruetruetrue",
  ],
  ["{% if false or False %}x{% endif %}{% if true and True %}y{% endif %}", "y"],
])("Jinja's globals are there: %s", (source, text) => {
  expect(render(source)).toBe(text);
});

test("a variable hides a global of the same name", () => {
  expect(render("{{ range }}", { range: "mine" })).toBe("mine");
});

test.each([
  [
    "{{ row.id }} {{ row.price }} {{ row.list }}",
    "1234567890123456789 0.1000000000000000055 [1e400]",
  ],
  ["{{ row.list | tojson }} {{ row.one | tojson }}", '[1e400] {"id": 18446744073709551616}'],
  ["{{ row.id ~ '!' }} {{ row.price < 1 }} {{ row.id > 3 }}", "1234567890123456789! true true"],
  ["{{ row.id is number }} {{ row.price is number }} {{ row.n + 1 }}", "true true 2"],
])("numbers beyond a double print as their digits: %s", (source, text) => {
  const row = parseJson(
    '{"id":1234567890123456789,"price":0.1000000000000000055,"list":[1e400],' +
      '"one":{"id":18446744073709551616},"n":1}',
  );
  expect(render(source, { row })).toBe(text);
});

test("arithmetic with a whole number beyond a double is refused in a template", () => {
  expect(() => render("{{ row.id + 1 }}", { row: { id: 2n ** 60n } })).toThrow("BigInt");
});

const row = { text: "x".repeat(2 ** 20), parts: Array.from({ length: 64 }, () => "y") };

test.each([
  ["{% for i in range(1000000000) %}x{% endfor %}", "range() gives at most 100000 numbers"],
  [
    "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
    "it takes more than 5000000 steps",
  ],
  [
    "{% for i in range(100000) %}{{ row.text }}{% endfor %}",
    "it writes more than 536870912 characters",
  ],
  [
    "{% set n = namespace(s=row.text) %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
    "it makes a text of more than 67108864 characters",
  ],
  [
    "{% set n = namespace(l=[1,2]) %}{% for i in range(99) %}{% set n.l = n.l + n.l %}{% endfor %}",
    "it makes lists of more than 10000000 items",
  ],
  ["{{ row.text | indent(1000000000) }}", "it indents by more than 1000 columns"],
  ["{{ row.text | indent(width=1000000000) }}", "it indents by more than 1000 columns"],
  ["{{ row.parts | tojson(indent=1000000000) }}", "it indents by more than 1000 columns"],
  [
    "{{ row.parts | join(row.text ~ row.text) }}",
    "it makes a text of more than 67108864 characters",
  ],
  ["{{ row.text | replace('x', row.text) }}", "it makes a text of more than 67108864 characters"],
  ["{{ row.text.replace('', row.text) }}", "it makes a text of more than 67108864 characters"],
])("the template %s fails in words instead of filling the memory", (source, words) => {
  expect(() => compileTemplate(source, "p")({ row })).toThrow(words);
});

test("each rendering of a template has the whole budget", () => {
  const render = compileTemplate(
    "{% for i in range(50000) %}{{ i }}{% endfor %}{{ row.text | replace('x', 'yz') | length }}",
    "p",
  );
  const text = Array.from({ length: 50_000 }, (_, i) => i).join("");
  for (let time = 0; time < 2; time++) expect(render({ row })).toBe(`${text}2097152`);
});

test("filters with large arguments within the limits write what Jinja writes", () => {
  const of = (source: string) =>
    compileTemplate(source, "p")({ row: { a: "a\nb", l: ["1", "2"] } });
  expect(of("{{ row.a | indent(2) }}")).toBe("a\n  b");
  expect(of("{{ row.l | join(', ') }}")).toBe("1, 2");
  expect(of("{{ (row.l + row.l) | join('') }}")).toBe("1212");
  expect(of("{{ row.l | tojson(indent=1) }}")).toBe('[\n "1",\n "2"\n]');
  expect(of("{{ row.a.replace('a', 'cc') | replace('b', row.l[0]) }}")).toBe("cc\n1");
});
