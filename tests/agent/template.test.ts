// Prompt templates: Jinja, and strict about holes.

import { describe, expect, test } from "bun:test";
import { compileTemplate } from "../../src/agent/template.ts";

const render = (source: string, variables = {}) => compileTemplate(source, "t.md")(variables);

describe("a prompt template", () => {
  test("is Jinja over row, history and state, and a line of tags alone leaves no empty line", () => {
    const source =
      "{{ row.q }}\n{% for o in row.options %}\n{{ loop.index }}. {{ o | upper }}\n{% endfor %}\n{% if history %} again{% endif %}";
    expect(render(source, { row: { q: "Which?", options: ["a", "b"] }, history: [] })).toBe(
      "Which?\n1. A\n2. B\n",
    );
  });

  test("fails on a name or key that does not exist instead of leaving a hole", () => {
    expect(() => render("{{ row.qestion }}", { row: {} })).toThrow(
      "template t.md: `row.qestion` is undefined",
    );
    expect(() =>
      render('{% if true %}{{ row["a b"].c }}{% endif %}', { row: { "a b": {} } }),
    ).toThrow('`row["a b"].c` is undefined');
    expect(() => render("{{ nothing }}")).toThrow("`nothing` is undefined");
  });

  test("lets a hole be meant", () => {
    expect(
      render('{{ row.x | default("none") }}{% if row.y is defined %}y{% endif %}', { row: {} }),
    ).toBe("none");
  });

  test("says which template does not parse", () => {
    expect(() => compileTemplate("{% if %}", "roles.a.prompt")).toThrow(
      "template roles.a.prompt: ",
    );
  });

  test("keeps Unicode and does not escape", () => {
    expect(render("{{ row.q }}", { row: { q: '<b>"ж"\u2028😀' } })).toBe('<b>"ж"\u2028😀');
  });

  test("has Jinja's globals", () => {
    expect(render("{% for i in range(1, 4) %}{{ i }}{% endfor %}{{ none is none }}")).toBe(
      "123true",
    );
  });
});
