#!/usr/bin/env bun
// The entry of the binary.

import { runProgram } from "./cli/program.ts";

process.exitCode = await runProgram(process.argv.slice(2));
