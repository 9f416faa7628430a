// The part that traces and metrics share: reading from the OTEL_… variables whether and how an
// export by OTLP is asked for, the exporters of the SDK, and the resource that describes this
// process. The exporters read endpoints, headers, certificates and time-outs from the environment.

import type { Resource } from "@opentelemetry/resources";
import type { PushMetricExporter } from "@opentelemetry/sdk-metrics";
import type { SpanExporter } from "@opentelemetry/sdk-trace-base";
import { MatrixError } from "../error.ts";
import { runtime } from "../platform.ts";

export type Environment = Readonly<Record<string, string | undefined>>;
export type Signal = "TRACES" | "METRICS";

const PROTOCOLS = ["http/json", "http/protobuf", "grpc"] as const;
type Protocol = (typeof PROTOCOLS)[number];

/** The name of an exporter decides. Without one, an endpoint asks for the export. */
export function wantsOtlp(env: Environment, signal: Signal): boolean {
  if (env["OTEL_SDK_DISABLED"]?.toLowerCase() === "true") return false;
  const named = env[`OTEL_${signal}_EXPORTER`];
  if (named) return named.split(",").some((name) => name.trim() === "otlp");
  return Boolean(
    env["OTEL_EXPORTER_OTLP_ENDPOINT"] || env[`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`],
  );
}

/** Fails with `usage` when an export is asked for in a protocol that does not exist. */
export function checkOtlp(env: Environment): void {
  for (const signal of ["TRACES", "METRICS"] as const)
    if (wantsOtlp(env, signal)) protocolOf(env, signal);
}

function protocolOf(env: Environment, signal: Signal): Protocol {
  for (const name of [`OTEL_EXPORTER_OTLP_${signal}_PROTOCOL`, "OTEL_EXPORTER_OTLP_PROTOCOL"]) {
    const text = env[name]?.trim() ?? "";
    if (text === "") continue;
    const protocol = PROTOCOLS.find((one) => one === text);
    if (protocol !== undefined) return protocol;
    throw new MatrixError("usage", `${name} is "${text}", which is no protocol of OTLP`, {
      hint: `set it to ${PROTOCOLS.slice(0, -1).join(", ")} or ${PROTOCOLS.at(-1)}`,
    });
  }
  return "http/json";
}

export async function createSpanExporter(env: Environment): Promise<SpanExporter> {
  const { OTLPTraceExporter } = await loadSpanExporter(protocolOf(env, "TRACES"));
  return new OTLPTraceExporter();
}

function loadSpanExporter(protocol: Protocol) {
  switch (protocol) {
    case "http/json":
      return import("@opentelemetry/exporter-trace-otlp-http");
    case "http/protobuf":
      return import("@opentelemetry/exporter-trace-otlp-proto");
    case "grpc":
      return loadGrpc<typeof import("@opentelemetry/exporter-trace-otlp-grpc")>(
        () => require("@opentelemetry/exporter-trace-otlp-grpc"),
        () => import("@opentelemetry/exporter-trace-otlp-grpc"),
      );
  }
}

export async function createMetricExporter(env: Environment): Promise<PushMetricExporter> {
  const { OTLPMetricExporter } = await loadMetricExporter(protocolOf(env, "METRICS"));
  return new OTLPMetricExporter();
}

function loadMetricExporter(protocol: Protocol) {
  switch (protocol) {
    case "http/json":
      return import("@opentelemetry/exporter-metrics-otlp-http");
    case "http/protobuf":
      return import("@opentelemetry/exporter-metrics-otlp-proto");
    case "grpc":
      return loadGrpc<typeof import("@opentelemetry/exporter-metrics-otlp-grpc")>(
        () => require("@opentelemetry/exporter-metrics-otlp-grpc"),
        () => import("@opentelemetry/exporter-metrics-otlp-grpc"),
      );
  }
}

/**
 * The ES modules of the gRPC exporters look for @grpc/grpc-js on disk, where a compiled binary does
 * not have it. Their CommonJS modules name it, so that it is part of the binary.
 */
async function loadGrpc<Module>(
  fromBinary: () => unknown,
  fromDisk: () => Promise<Module>,
): Promise<Module> {
  return runtime.name === "bun" ? (fromBinary() as Module) : await fromDisk();
}

/**
 * Describes this process. OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME change its name and
 * version and add to them; `attributes` say which process it is, and stay.
 */
export async function createResource(
  version: string,
  attributes: Readonly<Record<string, string>>,
): Promise<Resource> {
  const { detectResources, envDetector, resourceFromAttributes } = await import(
    "@opentelemetry/resources"
  );
  return resourceFromAttributes({ "service.name": "matrix", "service.version": version })
    .merge(detectResources({ detectors: [envDetector] }))
    .merge(resourceFromAttributes(attributes));
}
