// Doubts about a recipe: what is probably a mistake, and may be meant. Endpoints take fields of
// their own, so a field that looks like a misspelt one is still sent.

import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";
import { type Complaint, wrongWord } from "./complaint.ts";
import { joinKey } from "./key-path.ts";
import { insteadOf, KNOWN_FIELDS } from "./schema/request-schema.ts";

/** Tables of fields that are sent to endpoints: `sampling` of roles and `extra_body` of models. */
const TABLES = [
  ["roles", "sampling"],
  ["models", "extra_body"],
] as const;

/** Fields whose names are close to the name of a field that endpoints are known to take. */
export function doubtsIn(table: JsonObject): readonly Complaint[] {
  return TABLES.flatMap(([section, fields]) =>
    entriesOf(table[section]).flatMap(([name, part]) =>
      entriesOf(isJsonObject(part) ? part[fields] : undefined).flatMap(([field]) => {
        if (KNOWN_FIELDS.includes(field) || insteadOf(field) !== null) return [];
        const key = [section, name, fields, field].reduce(joinKey, "");
        const doubt = wrongWord(key, `"${field}" is sent as it is`, field, KNOWN_FIELDS);
        return doubt.suggestion === undefined ? [] : [doubt];
      }),
    ),
  );
}

function entriesOf(table: Json | undefined): (readonly [string, Json])[] {
  return isJsonObject(table) ? Object.entries(table) : [];
}
