// The image from which an engine starts, in the form that the engine takes. A recipe names a Docker
// reference, a SIF, or a folder with a Dockerfile or an Apptainer definition.

import { prepareSif, type SifOptions } from "../apptainer/sif.ts";
import type { EngineName } from "../contract.ts";
import { prepareDockerImage } from "../docker/image.ts";

/**
 * Returns the image as the engine takes it, and pulls or builds it first where it must. Fails with
 * `sandbox_invalid` when the name stands for no image, and with `sandbox_unavailable` when the
 * image cannot be made here and now.
 */
export async function prepareImage(
  image: string,
  engine: EngineName,
  options: SifOptions,
): Promise<string> {
  if (engine === "process") return image;
  if (engine === "docker") return prepareDockerImage(image, options);
  return prepareSif(image, options);
}
