// The fetch of a push: it knows the user's token, and waits and tries again when the hub asks for
// patience (429), has trouble of its own (5xx), or cuts the connection. Every request of a push may
// be repeated: uploads are named by their content, and a commit names the commit before it.

/** Tries of one request, the first one included. */
const TRIES_MAX = 6;
const FIRST_PAUSE_MS = 1000;
/** A hub that asks for a longer pause is not waited for. */
const PAUSE_MAX_MS = 5 * 60_000;

export interface PatientOptions {
  /** The address of the hub. No other server receives the token. */
  readonly endpoint: string;
  readonly token: string | null;
  readonly wait: (ms: number) => Promise<void>;
  /** Receives the bytes of each upload that a server has taken. */
  readonly onUploaded: (bytes: number) => void;
}

type Fetch = (input: string, init?: RequestInit) => Promise<Response>;

export function createPatientFetch(options: PatientOptions): Fetch {
  return async (input, init = {}) => {
    const request = withToken(options, input, init);
    for (let tries = 1; ; tries++) {
      const outcome = await fetch(input, request).catch((error: unknown) => error as Error);
      const pause = pauseAfter(outcome, tries);
      if (pause === null) {
        if (!(outcome instanceof Response)) throw outcome;
        if (outcome.ok && request.method === "PUT") options.onUploaded(sizeOf(request.body));
        return outcome;
      }
      if (outcome instanceof Response) await outcome.body?.cancel();
      await options.wait(pause);
    }
  };
}

function withToken({ endpoint, token }: PatientOptions, input: string, init: RequestInit) {
  const headers = new Headers(init.headers);
  headers.delete("authorization");
  const isHub = new URL(input).origin === new URL(endpoint).origin;
  if (isHub && token !== null) headers.set("authorization", `Bearer ${token}`);
  return { ...init, headers };
}

/** The milliseconds until the next try; null when this one was the last. */
function pauseAfter(outcome: Response | Error, tries: number): number | null {
  if (tries >= TRIES_MAX) return null;
  const own = FIRST_PAUSE_MS * 2 ** (tries - 1);
  if (!(outcome instanceof Response)) return outcome.name === "AbortError" ? null : own;
  if (outcome.status !== 429 && outcome.status < 500) return null;
  const asked = askedPause(outcome.headers) ?? own;
  return asked <= PAUSE_MAX_MS ? asked : null;
}

/** The pause of Retry-After, in seconds or as a date, or of the hub's own RateLimit. */
function askedPause(headers: Headers): number | null {
  const text =
    headers.get("retry-after") ?? /;\s*t=(\d+)/.exec(headers.get("ratelimit") ?? "")?.[1];
  if (text === undefined || text.trim() === "") return null;
  const seconds = Number(text);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(text) - Date.now();
  return Number.isNaN(ms) ? null : Math.max(0, ms);
}

function sizeOf(body: RequestInit["body"]): number {
  return body instanceof Blob ? body.size : 0;
}
