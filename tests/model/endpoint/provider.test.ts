import { expect, test } from "bun:test";
import { providerOf } from "../../../src/model/endpoint/provider.ts";

test.each([
  ["https://api.openai.com/v1", "openai"],
  ["https://my.openai.azure.com/openai/v1", "azure.ai.openai"],
  ["https://my.services.ai.azure.com/models", "azure.ai.inference"],
  ["https://api.anthropic.com/v1", "anthropic"],
  ["https://bedrock-runtime.us-west-2.amazonaws.com/openai/v1", "aws.bedrock"],
  ["https://us-central1-aiplatform.googleapis.com/v1", "gcp.vertex_ai"],
  ["https://generativelanguage.googleapis.com/v1beta/openai", "gcp.gemini"],
  ["https://api.cohere.ai/compatibility/v1", "cohere"],
  ["https://api.deepseek.com", "deepseek"],
  ["https://api.groq.com/openai/v1", "groq"],
  ["https://api.mistral.ai/v1", "mistral_ai"],
  ["https://api.moonshot.cn/v1", "moonshot_ai"],
  ["https://openrouter.ai/api/v1", "openrouter"],
  ["https://api.perplexity.ai", "perplexity"],
  ["https://api.x.ai/v1", "x_ai"],
  ["https://us-south.ml.cloud.ibm.com/ml/v1", "ibm.watsonx.ai"],
  ["http://localhost:8000/v1", "openai"],
  ["https://api.deepseek.com.example.org/v1", "openai"],
  ["https://max.ai/v1", "openai"],
  ["no url", "openai"],
  [null, "openai"],
])("the endpoint %s belongs to %s", (url, provider) => {
  expect(providerOf(url)).toBe(provider);
});
