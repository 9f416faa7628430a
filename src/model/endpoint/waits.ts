// The time for which a server asks a client to wait, in the forms that providers give it.

import type { ErrorCode } from "../../error.ts";

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** Units of a duration such as "6m0s" or "20ms" (OpenAI, Groq). */
const UNIT_MS: Readonly<Record<string, number>> = {
  d: 86_400_000,
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
};
/** Numbers above these are milliseconds and seconds since 1970, and not from now on. */
const EPOCH_MS_MIN = 1e12;
const EPOCH_S_MIN = 1e9;

/**
 * The wait in milliseconds; undefined when the server asks for none. Limits on rates count only for
 * a request that was turned away, because other answers state them too.
 */
export function waitOf(headers: Headers, code: ErrorCode): number | undefined {
  // RFC 9110, section 10.2.3 allows seconds or a date; OpenAI also sends `retry-after-ms`.
  const ms = Number(headers["retry-after-ms"] ?? Number.NaN);
  if (Number.isFinite(ms)) return Math.max(0, ms);
  const stated = parseWait(headers["retry-after"]);
  if (stated !== undefined || code !== "model_overloaded") return stated;
  return resetOf(headers);
}

/**
 * The time until a limit resets. Headers such as `x-ratelimit-reset-tokens` stand beside
 * `x-ratelimit-remaining-tokens`. The wait is that of the limit that is used up; when no header
 * says which one that is, the shortest.
 */
function resetOf(headers: Headers): number | undefined {
  const limits = Object.keys(headers)
    .filter((name) => /ratelimit/.test(name) && /reset/.test(name))
    .flatMap((name) => {
      const ms = parseWait(headers[name]);
      const isUsedUp = Number(headers[name.replace("reset", "remaining")] ?? Number.NaN) === 0;
      return ms === undefined ? [] : [{ ms, isUsedUp }];
    });
  const usedUp = limits.filter((limit) => limit.isUsedUp).map(({ ms }) => ms);
  if (usedUp.length > 0) return Math.max(...usedUp);
  return limits.length === 0 ? undefined : Math.min(...limits.map(({ ms }) => ms));
}

/** Milliseconds of seconds, of a duration with units, or until a time. */
function parseWait(value: Headers[string]): number | undefined {
  if (typeof value !== "string") return undefined;
  const text = value.trim();
  const wait = /^\d+(\.\d+)?$/.test(text)
    ? waitOfNumber(Number(text))
    : (waitOfDuration(text) ?? Date.parse(text) - Date.now());
  return Number.isFinite(wait) ? Math.max(0, wait) : undefined;
}

function waitOfNumber(number: number): number {
  if (number >= EPOCH_MS_MIN) return number - Date.now();
  return number >= EPOCH_S_MIN ? number * 1000 - Date.now() : number * 1000;
}

function waitOfDuration(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(d|h|ms|m|s))+$/.test(text)) return undefined;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(d|h|ms|m|s)/g)];
  return parts.reduce((sum, [, count, unit = ""]) => sum + Number(count) * (UNIT_MS[unit] ?? 0), 0);
}
