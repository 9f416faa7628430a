// The part that traces and metrics share: reading from the OTEL_… variables whether an export by
// OTLP is asked for, and the resource that describes this process.

import type { Resource } from "@opentelemetry/resources";

export type Environment = Readonly<Record<string, string | undefined>>;

/** The name of an exporter decides. Without one, an endpoint asks for the export. */
export function wantsOtlp(env: Environment, signal: "TRACES" | "METRICS"): boolean {
  if (env["OTEL_SDK_DISABLED"]?.toLowerCase() === "true") return false;
  const named = env[`OTEL_${signal}_EXPORTER`];
  if (named) return named.split(",").some((name) => name.trim() === "otlp");
  return Boolean(
    env["OTEL_EXPORTER_OTLP_ENDPOINT"] || env[`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`],
  );
}

/** Describes this process. `attributes` are added to its name and version. */
export async function createResource(
  env: Environment,
  version: string,
  attributes: Readonly<Record<string, string>>,
): Promise<Resource> {
  const { resourceFromAttributes } = await import("@opentelemetry/resources");
  return resourceFromAttributes({
    "service.name": env["OTEL_SERVICE_NAME"] ?? "matrix",
    "service.version": version,
    ...attributes,
  });
}
