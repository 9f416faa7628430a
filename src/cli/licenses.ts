// `matrix licenses` prints the licenses of the third-party software in this binary.

import { Command, Option } from "commander";
import { billOfMaterials } from "./licenses/bill-of-materials.ts";
import { type Notices, readNotices, type ThirdParty } from "./licenses/notices.ts";

const RUNTIME = `The binary contains Bun, which links these libraries. Those under the LGPL may be
replaced: this program is built from its source with any Bun (scripts/build), and Bun is built
with a changed WebKit as its LICENSE.md describes, at https://github.com/oven-sh/bun.`;

export function licensesCommand(): Command {
  return new Command("licenses")
    .description("print the third-party software in this binary, with the texts of its licenses")
    .addOption(
      new Option("--json", "print one object: packages, parts of the runtime, and texts").env(
        "MATRIX_JSON",
      ),
    )
    .addOption(new Option("--sbom", "print a bill of materials (CycloneDX 1.6)").env("MATRIX_SBOM"))
    .action(({ json, sbom }: { json?: boolean; sbom?: boolean }) => {
      const notices = readNotices();
      if (sbom === true) console.log(JSON.stringify(billOfMaterials(notices), null, 2));
      else console.log(json === true ? JSON.stringify(notices) : render(notices));
    });
}

function render({ packages, runtime, texts }: Notices): string {
  const list = (parts: readonly ThirdParty[]): string =>
    parts.map(({ license, url, ...part }) => `${titleOf(part)}  ${license}  ${url}`).join("\n");
  const holders = texts.map((text, index) => {
    const names = [...packages, ...runtime]
      .filter((part) => part.texts.includes(index))
      .map(titleOf);
    return `${"-".repeat(80)}\n${names.join(", ")}\n\n${text}`;
  });
  return [
    `Packages in this binary (${packages.length}):\n\n${list(packages)}`,
    `${RUNTIME}\n\n${list(runtime)}`,
    ...holders,
  ].join("\n\n");
}

function titleOf({ name, version }: Pick<ThirdParty, "name" | "version">): string {
  return version === null ? name : `${name} ${version}`;
}
