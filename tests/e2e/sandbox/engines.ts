// The engines of this machine with an image each, found once; where one is missing, a line says so
// and its tests are skipped.

import { findApptainer } from "../../../src/sandbox/apptainer/program.ts";
import type { EngineName } from "../../../src/sandbox/contract.ts";
import { reportDocker } from "../../../src/sandbox/docker/client.ts";
import { dockerImageId } from "../../../src/sandbox/docker/image.ts";
import { prepareImage } from "../../../src/sandbox/image/prepare.ts";
import type { Log } from "../../../src/telemetry/log.ts";

const IMAGE = "python:3.12-slim";

export const quiet: Log = { write: () => undefined, close: async () => undefined };

export interface EngineHere {
  readonly engine: EngineName;
  /** Null where the engine or the image is missing. */
  readonly image: string | null;
}

export const docker: EngineHere = { engine: "docker", image: await dockerImage() };
export const apptainer: EngineHere = { engine: "apptainer", image: await sif() };
export const plain: EngineHere = { engine: "process", image: "" };

async function dockerImage(): Promise<string | null> {
  const { usable, says } = await reportDocker();
  if (usable && (await dockerImageId(IMAGE)) !== null) return IMAGE;
  console.log(`skipped: ${usable ? `Docker has no image ${IMAGE}` : says}`);
  return null;
}

/** Made once from a local Docker image, or pulled where there is a registry. */
async function sif(): Promise<string | null> {
  const program = await findApptainer();
  if (program === null) {
    console.log("skipped: no apptainer in PATH");
    return null;
  }
  return prepareImage(IMAGE, "apptainer", { log: quiet, apptainer: program }).catch(
    (thrown: Error) => {
      console.log(`skipped: ${thrown.message}`);
      return null;
    },
  );
}
