// A collector of OTLP over HTTP that keeps what it is sent. The exporters read where it is from the
// environment of this process, so the variables are set while a test uses it.

import { serve } from "../../src/platform.ts";
import type { JsonObject } from "../../src/task/json.ts";

export interface Pushed {
  readonly path: string;
  readonly body: JsonObject;
}

export async function withCollector<T>(
  use: (env: Readonly<Record<string, string>>, pushes: readonly Pushed[]) => Promise<T>,
): Promise<T> {
  const pushes: Pushed[] = [];
  const server = serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      pushes.push({
        path: new URL(request.url).pathname,
        body: (await request.json()) as JsonObject,
      });
      return Response.json({});
    },
  });
  const name = "OTEL_EXPORTER_OTLP_ENDPOINT";
  const before = process.env[name];
  process.env[name] = server.url;
  try {
    return await use({ [name]: server.url }, pushes);
  } finally {
    if (before === undefined) delete process.env[name];
    else process.env[name] = before;
    await server.stop();
  }
}

/** Attributes in the shape of OTLP as a table. */
export function attributesOf({
  attributes,
}: {
  readonly attributes: readonly { readonly key: string; readonly value: JsonObject }[];
}): Record<string, unknown> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [
      key,
      value["stringValue"] ?? value["intValue"] ?? value["doubleValue"],
    ]),
  );
}
