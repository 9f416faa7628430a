#!/usr/bin/env bun
// The entry of the binary.

import { runProgram } from "./cli/program.ts";
import { wasExportGivenUp } from "./telemetry/patient-export.ts";

/** Time in which the last words reach the terminal. */
const LAST_WORDS_MS = 50;

process.exitCode = await runProgram(process.argv.slice(2));
if (wasExportGivenUp()) setTimeout(() => process.exit(), LAST_WORDS_MS).unref();
