// The formats of `matrix export`, by the names that --to takes.

import type { ExportFormat } from "./contract.ts";
import { openai } from "./formats/openai.ts";
import { hub, parquet } from "./formats/parquet.ts";
import { sharegpt } from "./formats/sharegpt.ts";
import { tau2 } from "./formats/tau2.ts";
import { trlDpo } from "./formats/trl-dpo.ts";
import { trlSft } from "./formats/trl-sft.ts";

export const FORMATS: Readonly<Record<string, ExportFormat>> = {
  openai,
  sharegpt,
  "trl-sft": trlSft,
  "trl-dpo": trlDpo,
  parquet,
  hf: hub,
  tau2,
};
