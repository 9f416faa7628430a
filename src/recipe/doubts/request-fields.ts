// Doubts about fields of requests. Endpoints take fields of their own, so a field that looks like a
// misspelt one, or that has this name at another API, is still sent.

import { isJsonObject, type Json, type JsonObject } from "../../task/json.ts";
import { type Complaint, nearestWord } from "../complaint.ts";
import { joinKey } from "../key-path.ts";
import { insteadOf, KNOWN_FIELDS } from "../schema/request-schema.ts";

/** Tables of fields that are sent to endpoints: `sampling` of roles and `extra_body` of models. */
const TABLES = [
  ["roles", "sampling"],
  ["models", "extra_body"],
] as const;

/** Names at other APIs and libraries, without marks between their words. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  temp: "temperature",
  maxnewtokens: "max_tokens",
  maxoutputtokens: "max_tokens",
  maxlength: "max_tokens",
  minnewtokens: "min_tokens",
  stopsequences: "stop",
  stopwords: "stop",
  topkfiltering: "top_k",
  nucleus: "top_p",
  candidatecount: "n",
  numreturnsequences: "n",
  bestofn: "best_of",
  randomseed: "random_seed",
};

/** Fields whose names are close to the name of a field that endpoints are known to take. */
export function fieldDoubts(table: JsonObject): readonly Complaint[] {
  return TABLES.flatMap(([section, fields]) =>
    entriesOf(table[section]).flatMap(([name, part]) =>
      entriesOf(isJsonObject(part) ? part[fields] : undefined).flatMap(([field]) => {
        const suggestion = meantBy(field);
        if (suggestion === null) return [];
        const key = [section, name, fields, field].reduce(joinKey, "");
        return [{ key, message: `"${field}" is sent as it is`, suggestion }];
      }),
    ),
  );
}

/** The known field that was probably meant; null for a known field, and for one like no other. */
function meantBy(field: string): string | null {
  if (KNOWN_FIELDS.includes(field) || insteadOf(field) !== null) return null;
  const bare = bareOf(field);
  const known = new Map(KNOWN_FIELDS.map((name) => [bareOf(name), name]));
  const same = known.get(bare) ?? ELSEWHERE[bare];
  if (same !== undefined) return same;
  return (
    nearestWord(field, KNOWN_FIELDS) ??
    known.get(nearestWord(bare, [...known.keys()]) ?? "") ??
    null
  );
}

/** `topP`, `top-p` and `Top_P` are one name. */
function bareOf(field: string): string {
  return field.toLowerCase().replaceAll(/[^a-z0-9]/g, "");
}

function entriesOf(table: Json | undefined): (readonly [string, Json])[] {
  return isJsonObject(table) ? Object.entries(table) : [];
}
