// The provider behind an endpoint, by its host name, as OpenTelemetry's conventions call it
// (gen_ai.provider.name). An endpoint that is not known speaks OpenAI's API.

const PROVIDERS: readonly (readonly [host: RegExp, provider: string])[] = [
  [/\.openai\.azure\.com$/, "azure.ai.openai"],
  [/\.(services\.ai|inference\.ai|models\.ai)\.azure\.com$/, "azure.ai.inference"],
  [/(^|\.)anthropic\.com$/, "anthropic"],
  [/^bedrock.*\.amazonaws\.com$/, "aws.bedrock"],
  [/(^|\.)aiplatform\.googleapis\.com$|-aiplatform\.googleapis\.com$/, "gcp.vertex_ai"],
  [/^generativelanguage\.googleapis\.com$/, "gcp.gemini"],
  [/(^|\.)cohere\.(ai|com)$/, "cohere"],
  [/(^|\.)deepseek\.com$/, "deepseek"],
  [/(^|\.)groq\.com$/, "groq"],
  [/(^|\.)mistral\.ai$/, "mistral_ai"],
  [/(^|\.)moonshot\.(ai|cn)$/, "moonshot_ai"],
  [/(^|\.)openrouter\.ai$/, "openrouter"],
  [/(^|\.)perplexity\.ai$/, "perplexity"],
  [/(^|\.)x\.ai$/, "x_ai"],
  [/\.ml\.cloud\.ibm\.com$/, "ibm.watsonx.ai"],
];

/** `url`: the base URL of an endpoint; null where it is not known before the run. */
export function providerOf(url: string | null): string {
  const host = url !== null && URL.canParse(url) ? new URL(url).hostname : "";
  return PROVIDERS.find(([pattern]) => pattern.test(host))?.[1] ?? "openai";
}
