// The formats of `matrix export`, by the names that --to takes.

import type { ExportFormat } from "./contract.ts";
import { openai } from "./openai.ts";
import { hub, parquet } from "./parquet.ts";
import { sharegpt } from "./sharegpt.ts";
import { tau2 } from "./tau2.ts";
import { trlDpo } from "./trl-dpo.ts";
import { trlSft } from "./trl-sft.ts";

export const FORMATS: Readonly<Record<string, ExportFormat>> = {
  openai,
  sharegpt,
  "trl-sft": trlSft,
  "trl-dpo": trlDpo,
  parquet,
  hf: hub,
  tau2,
};
