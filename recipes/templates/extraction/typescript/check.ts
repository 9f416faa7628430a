// Finds the fields whose value is not in the text.

import { agent, type JsonObject } from "matrix";

export const missingIn = (fields: JsonObject, text: string): readonly string[] =>
  Object.entries(fields).flatMap(([name, value]) => (text.includes(String(value)) ? [] : [name]));

export default agent(({ row, history }) => {
  const last = history.at(-1)?.result as { parsed: JsonObject };
  const { parsed: fields } = last;
  return { fields, missing: missingIn(fields, String(row["text"])) };
});
