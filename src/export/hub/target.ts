// The dataset of the Hugging Face hub that an export is pushed to: hf://OWNER/NAME[@BRANCH].

import { MatrixError } from "../../error.ts";

const ADDRESS = /^hf:\/\/(?:datasets\/)?([\w.-]+\/([\w.-]+))(?:@([^@\s]+))?\/?$/;

export interface HubTarget {
  /** OWNER/NAME. */
  readonly id: string;
  /** The name without its owner. */
  readonly name: string;
  readonly branch: string;
}

/** Fails with `usage` for an address that is not that of a whole dataset. */
export function parseTarget(address: string): HubTarget {
  const [, id, name, branch = "main"] = ADDRESS.exec(address) ?? [];
  if (id !== undefined && name !== undefined) return { id, name, branch };
  throw new MatrixError("usage", `${address} is not the name of a dataset on the hub`, {
    hint: "write hf://OWNER/NAME, or hf://OWNER/NAME@BRANCH for a branch that exists",
  });
}
