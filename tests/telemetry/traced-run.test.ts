// Traces as a collector receives them: one trace per task, a span per hop under the task.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { serve } from "../../src/platform.ts";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";
import { readRecords } from "../parts/records.ts";
import { CORAL } from "../parts/repository.ts";

test("a run sends one trace per record with a span per hop, and no content", () =>
  withCollector((url, spans) =>
    withFolder(async (folder) => {
      const env = { OTEL_EXPORTER_OTLP_ENDPOINT: url };
      await matrix(
        [
          "drive",
          CORAL,
          "-o",
          "run",
          'models.speaker.latency="1ms"',
          "models.speaker.errors.server_error=0.1",
          "models.speaker.retries=0",
          "models.speaker.deadline=0s",
        ],
        { cwd: folder, env },
      );
      const records = await readRecords(join(folder, "run"));
      expect(new Set(records.map(({ trace_id }) => trace_id)).size).toBe(40);
      for (const record of records) {
        const trace = spans.filter(({ traceId }) => traceId === record.trace_id);
        const root = trace.find(({ parentSpanId }) => !parentSpanId);
        const hops = trace.filter((span) => span !== root);
        expect(root?.name).toBe("matrix.task");
        expect(attributesOf(root as OtlpSpan)).toMatchObject({
          "matrix.row.id": record.id,
          "matrix.stop_reason": record.stop_reason,
        });
        expect(hops).toHaveLength(record.history.length + (record.status === "failed" ? 1 : 0));
        expect(new Set(hops.map(({ parentSpanId }) => parentSpanId))).toEqual(
          new Set([root?.spanId]),
        );
        for (const hop of record.history) {
          const span = hops.find((candidate) => attributesOf(candidate)["matrix.hop"] === hop.hop);
          expect(span?.name).toBe(
            hop.model === undefined ? `invoke_agent ${hop.role}` : `chat ${hop.model}`,
          );
          expect(attributesOf(span as OtlpSpan)).toMatchObject({
            "gen_ai.agent.name": hop.role,
            "matrix.queue_ms": expect.any(Number),
            ...(hop.usage === undefined
              ? {}
              : { "gen_ai.usage.output_tokens": hop.usage.completion_tokens }),
          });
        }
      }
      expect(JSON.stringify(spans)).not.toContain("The answer is");
      const failed = records.find(({ status }) => status === "failed");
      const root = spans.find(
        ({ traceId, parentSpanId }) => traceId === failed?.trace_id && !parentSpanId,
      );
      expect(attributesOf(root as OtlpSpan)["error.type"]).toBe("model_failed");
      expect(root?.status.code).toBe(2);
    }),
  ));

test("a run completes although the collector of its traces is down", () =>
  withFolder(async (folder) => {
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9",
      OTEL_EXPORTER_OTLP_TIMEOUT: "300",
    };
    const { code, stdout } = await matrix(
      ["drive", CORAL, "-o", "run", "--limit", "5", 'models.speaker.latency="1ms"'],
      {
        cwd: folder,
        env,
      },
    );
    expect(stdout).toContain("expected 5 = ok 5 + failed 0 + lost 0");
    expect(code).toBe(0);
  }));

interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly {
    readonly key: string;
    readonly value: {
      readonly stringValue?: string;
      readonly intValue?: number;
      readonly doubleValue?: number;
    };
  }[];
  readonly status: { readonly code?: number };
}

async function withCollector<T>(use: (url: string, spans: OtlpSpan[]) => Promise<T>): Promise<T> {
  const spans: OtlpSpan[] = [];
  const server = serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const body = (await request.json()) as {
        resourceSpans: { scopeSpans: { spans: OtlpSpan[] }[] }[];
      };
      for (const { scopeSpans } of body.resourceSpans)
        for (const scope of scopeSpans) spans.push(...scope.spans);
      return Response.json({});
    },
  });
  try {
    return await use(server.url, spans);
  } finally {
    await server.stop();
  }
}

const attributesOf = ({ attributes }: OtlpSpan) =>
  Object.fromEntries(
    attributes.map(({ key, value }) => [
      key,
      value.stringValue ?? value.intValue ?? value.doubleValue,
    ]),
  );
