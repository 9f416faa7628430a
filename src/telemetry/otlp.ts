// What traces and metrics share: whether the environment asks for an export by OTLP, in the
// variables of the OpenTelemetry specification, and who it is that speaks.

import type { Resource } from "@opentelemetry/resources";

export type Environment = Readonly<Record<string, string | undefined>>;

/** An exporter's name decides; without one, an endpoint asks. */
export function wantsOtlp(env: Environment, signal: "TRACES" | "METRICS"): boolean {
  if (env["OTEL_SDK_DISABLED"]?.toLowerCase() === "true") return false;
  const named = env[`OTEL_${signal}_EXPORTER`];
  if (named) return named.split(",").some((name) => name.trim() === "otlp");
  return Boolean(
    env["OTEL_EXPORTER_OTLP_ENDPOINT"] || env[`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`],
  );
}

/** This process, with what else is said of it. */
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
