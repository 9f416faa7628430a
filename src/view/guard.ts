// The protection of the page and its user. The server listens on loopback unless the user asks for
// more, and then every request needs a token. Pages of other origins get nothing. Content of models
// is data: no answer with it is HTML, and the page may run no script but its own.

import { randomBytes } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import { isEqual } from "../http/proof.ts";

const TOKEN_BYTES = 24;
const COOKIE = "matrix-view";
/** Scripts and styles come from this server alone. Images may be data of a record. */
const RULES = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  // Formulas place their parts by style attributes, which can run nothing.
  "style-src-attr 'unsafe-inline'",
  "font-src 'self'",
  "img-src 'self' data: blob:",
  "media-src 'self' data: blob:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
];
const POLICY = [...RULES, "frame-ancestors 'none'"].join("; ");
/** The policy of a page that states it itself, as the page of a bundle does. */
export const PAGE_POLICY = RULES.join("; ");

export function createToken(): string {
  return randomBytes(TOKEN_BYTES).toString("base64url");
}

/** Headers of every answer, errors included. */
export function safeHeaders(): MiddlewareHandler {
  return async (context, next) => {
    await next();
    const { headers } = context.res;
    headers.set("content-security-policy", POLICY);
    headers.set("x-content-type-options", "nosniff");
    headers.set("referrer-policy", "no-referrer");
    headers.set("cross-origin-opener-policy", "same-origin");
    headers.set("cross-origin-resource-policy", "same-origin");
    if (!headers.has("cache-control")) headers.set("cache-control", "no-store");
  };
}

/**
 * Asks for the token: in `authorization`, in the cookie, or once as `?token=` of the page, which
 * becomes the cookie. The cookie's name has the port, because cookies are shared by all ports of a
 * machine.
 */
export function requireToken(token: string): MiddlewareHandler {
  return async (context, next) => {
    const { host } = new URL(context.req.url);
    const cookie = `${COOKIE}-${host.replaceAll(/\W/g, "-")}`;
    const given = context.req.query("token");
    if (given !== undefined && context.req.method === "GET" && isEqual(given, token)) {
      setCookie(context, cookie, token, { httpOnly: true, sameSite: "Lax", path: "/" });
      const url = new URL(context.req.url);
      url.searchParams.delete("token");
      // The token leaves the address bar and the history of the browser.
      return context.redirect(`${url.pathname}${url.search}`);
    }
    const bearer = /^Bearer (.+)$/.exec(context.req.header("authorization") ?? "")?.[1];
    const known = bearer ?? getCookie(context, cookie) ?? "";
    if (isEqual(known, token)) return next();
    return context.json(
      {
        code: "forbidden",
        message: "this page needs its token: open the URL that `matrix view` has printed",
      },
      401,
    );
  };
}

/**
 * Refuses requests that pages of other origins make, as a browser tells them, and changes that do
 * not come as JSON, which a form of another page cannot send.
 */
export function requireSameOrigin(): MiddlewareHandler {
  return async (context, next) => {
    const { method } = context.req;
    const origin = context.req.header("origin");
    const site = context.req.header("sec-fetch-site") ?? "none";
    const isOwn = origin === undefined || hostIn(origin) === context.req.header("host");
    const isJson = context.req.header("content-type")?.startsWith("application/json") === true;
    const isRead = method === "GET" || method === "HEAD";
    if (isOwn && (site === "same-origin" || site === "none") && (isRead || isJson)) return next();
    const message = "only the page of this server may do this, and changes are JSON";
    return context.json({ code: "forbidden", message }, 403);
  };
}

function hostIn(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null;
}
