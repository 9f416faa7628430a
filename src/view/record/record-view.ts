// One record as the page gets it: its head, a line for each hop, and what the hops said, in parts.
// Only the parts that are asked for are parsed.

import { parseJson } from "../../task/exact.ts";
import type { JsonObject } from "../../task/json.ts";
import { isJsonObject } from "../../task/json.ts";
import { NO_USAGE } from "../../task/spent.ts";
import type { Content, HopBody, HopLine, HopsAnswer, RecordHeadAnswer, Status } from "../api.ts";
import { contentOf } from "./content.ts";
import { errorIn, numberIn, objectIn, textIn, usageIn } from "./loose.ts";
import { itemsOf, membersOf, type Span } from "./outline.ts";

/** Characters of results that one answer has, about. */
const HOPS_CHARS_MAX = 1024 * 1024;
/** Hops that one answer has at most. */
const HOPS_MAX = 500;
/** Members that are shown apart from the rest of a record or a hop. */
const LARGE_OF_RECORD = ["row", "history", "outcome"];
const LARGE_OF_HOP = ["result", "missed"];

export class RecordView {
  readonly line: string;
  readonly #members: ReadonlyMap<string, Span>;
  readonly #hops: readonly Span[];

  constructor(line: string) {
    const whole = { from: 0, to: line.length };
    this.line = line;
    this.#members = membersOf(line, whole) ?? new Map();
    const history = this.#members.get("history");
    this.#hops = (history === undefined ? null : itemsOf(line, history)) ?? [];
  }

  get hopCount(): number {
    return this.#hops.length;
  }

  get input(): Content {
    return contentOf(this.line, this.#members.get("row"), "/row");
  }

  get head(): RecordHeadAnswer {
    const head = smallMembers(this.line, this.#members, LARGE_OF_RECORD);
    const timing = objectIn(head, "timing") ?? {};
    const status = textIn(head, "status");
    return {
      seed: numberIn(head, "seed") ?? 0,
      attempt: numberIn(head, "attempt") ?? 1,
      status: isStatus(status) ? status : "failed",
      stop_reason: textIn(head, "stop_reason") ?? "completed",
      score: numberIn(head, "score"),
      outcome: contentOf(this.line, this.#members.get("outcome"), "/outcome"),
      error: errorIn(head, "error"),
      simulated: head["simulated"] === true,
      usage: usageIn(head, "usage") ?? NO_USAGE,
      cost: numberIn(head, "cost"),
      timing: {
        admitted_at: textIn(timing, "admitted_at") ?? "",
        ended_at: textIn(timing, "ended_at") ?? "",
        total_ms: numberIn(timing, "total_ms") ?? 0,
        queue_ms: numberIn(timing, "queue_ms") ?? 0,
        run_ms: numberIn(timing, "run_ms") ?? 0,
      },
      trace_id: textIn(head, "trace_id"),
    };
  }

  /** A line for each hop. `startMs` counts from the admission, or else from the first hop. */
  get hops(): readonly HopLine[] {
    const admitted = Date.parse(this.head.timing.admitted_at);
    let began = Number.isNaN(admitted) ? null : admitted;
    return this.#hops.map((span, index) => {
      const members = membersOf(this.line, span) ?? new Map<string, Span>();
      const hop = smallMembers(this.line, members, LARGE_OF_HOP);
      const at = Date.parse(textIn(hop, "at") ?? "");
      if (began === null && !Number.isNaN(at)) began = at;
      return {
        ...lineOf(hop, index),
        startMs: began === null || Number.isNaN(at) ? 0 : at - began,
        ...missedIn(this.line, members),
        chars: charsOf(members.get("result")),
      };
    });
  }

  /** The content of the hops from `from` on: as many as fit, and at least one. */
  bodies(from: number, count: number): HopsAnswer {
    const hops: HopBody[] = [];
    let chars = 0;
    const end = Math.min(this.#hops.length, from + Math.min(count, HOPS_MAX));
    for (let index = from; index < end; index++) {
      const span = this.#hops[index];
      if (span === undefined) break;
      chars += span.to - span.from;
      if (hops.length > 0 && chars > HOPS_CHARS_MAX) break;
      hops.push(this.#body(span, index));
    }
    return { from, hops, total: this.#hops.length };
  }

  #body(span: Span, index: number): HopBody {
    const members = membersOf(this.line, span);
    const at = `/history/${index}`;
    // A hop of another program may be any value.
    if (members === null) return { hop: index, result: contentOf(this.line, span, at), missed: [] };
    const missed = members.get("missed");
    const items = missed === undefined ? null : itemsOf(this.line, missed);
    return {
      hop: index,
      result: contentOf(this.line, members.get("result"), `${at}/result`),
      missed: (items ?? []).map((item, nth) => {
        const parts = membersOf(this.line, item) ?? new Map<string, Span>();
        const answer = smallMembers(this.line, parts, ["result"]);
        return {
          problem: textIn(answer, "problem") ?? "",
          usage: usageIn(answer, "usage") ?? NO_USAGE,
          cost: numberIn(answer, "cost"),
          result: contentOf(this.line, parts.get("result"), `${at}/missed/${nth}/result`),
        };
      }),
    };
  }
}

function lineOf(hop: JsonObject, index: number): Omit<HopLine, "startMs" | "chars" | "missed"> {
  const branch = numberIn(hop, "branch");
  const model = textIn(hop, "model");
  const usage = usageIn(hop, "usage");
  const cost = numberIn(hop, "cost");
  const tries = numberIn(hop, "tries");
  const error = textIn(hop, "error");
  return {
    hop: numberIn(hop, "hop") ?? index,
    role: textIn(hop, "role") ?? "?",
    ...(branch === null ? {} : { branch }),
    host: textIn(hop, "host") ?? "",
    queueMs: numberIn(hop, "queue_ms") ?? 0,
    runMs: numberIn(hop, "run_ms") ?? 0,
    ...(model === null ? {} : { model }),
    ...(usage === null ? {} : { usage }),
    ...(cost === null ? {} : { cost }),
    ...(tries === null ? {} : { tries }),
    ...(error === null ? {} : { error }),
  };
}

function missedIn(line: string, members: ReadonlyMap<string, Span>): Pick<HopLine, "missed"> {
  const span = members.get("missed");
  const count = span === undefined ? 0 : (itemsOf(line, span)?.length ?? 0);
  return count === 0 ? {} : { missed: count };
}

function charsOf(span: Span | undefined): number {
  return span === undefined ? 0 : span.to - span.from;
}

/** The members of an object but for some large ones. One that is not JSON counts as not set. */
function smallMembers(
  line: string,
  members: ReadonlyMap<string, Span>,
  large: readonly string[],
): JsonObject {
  const small: [string, JsonObject[string]][] = [];
  for (const [name, { from, to }] of members) {
    if (large.includes(name)) continue;
    try {
      small.push([name, parseJson(line.slice(from, to)) as JsonObject[string]]);
    } catch {
      // The head of a broken line is shown as far as it goes.
    }
  }
  const head = Object.fromEntries(small);
  return isJsonObject(head) ? head : {};
}

function isStatus(text: string | null): text is Status {
  return text === "ok" || text === "failed" || text === "lost";
}
