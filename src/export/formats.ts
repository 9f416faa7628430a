// The formats of `matrix export`, by the names that --to takes.

import type { ExportFormat } from "./contract.ts";
import { msSwift } from "./formats/ms-swift.ts";
import { openai } from "./formats/openai.ts";
import { openrlhf } from "./formats/openrlhf.ts";
import { hub, parquet } from "./formats/parquet.ts";
import { sharegpt } from "./formats/sharegpt.ts";
import { tau2 } from "./formats/tau2.ts";
import { trlDpo } from "./formats/trl-dpo.ts";
import { trlKto } from "./formats/trl-kto.ts";
import { trlPrompt } from "./formats/trl-prompt.ts";
import { trlSft } from "./formats/trl-sft.ts";
import { verl, verlSft } from "./formats/verl.ts";

export const FORMATS: Readonly<Record<string, ExportFormat>> = {
  openai,
  sharegpt,
  "trl-sft": trlSft,
  "trl-dpo": trlDpo,
  "trl-kto": trlKto,
  "trl-prompt": trlPrompt,
  verl,
  "verl-sft": verlSft,
  openrlhf,
  "ms-swift": msSwift,
  parquet,
  hf: hub,
  tau2,
};
