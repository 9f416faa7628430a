// The shape of a usage wherever one enters: in records, in manifests and from other hosts.

import * as v from "valibot";

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const money = v.pipe(v.number(), v.minValue(0));

export const usageEntries = {
  requests: count,
  prompt_tokens: count,
  completion_tokens: count,
  cached_tokens: v.exactOptional(count),
  cache_write_tokens: v.exactOptional(count),
  reasoning_tokens: v.exactOptional(count),
  failed_requests: v.exactOptional(count),
  estimated_requests: v.exactOptional(count),
  stated_cost: v.exactOptional(money),
};

export const spentEntries = { ...usageEntries, cost: money };
