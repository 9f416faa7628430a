// The software bill of materials of the binary, as CycloneDX 1.6 has it.

import { version } from "../../version.ts";
import type { Notices, ThirdParty } from "./notices.ts";

/** Holds nothing that differs between two calls, so that equal binaries have equal bills. */
export function billOfMaterials({ packages, runtime }: Notices): object {
  const components = [
    ...packages.map((one) => componentOf(one, `pkg:npm/${purlName(one.name)}@${one.version}`)),
    ...runtime.map((one) => componentOf(one, runtimePurl(one))),
  ];
  const main = { type: "application", "bom-ref": "matrix", name: "matrix", version };
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: { component: { ...main, licenses: [{ license: { id: "MIT" } }] } },
    components,
    dependencies: [{ ref: "matrix", dependsOn: components.map((one) => one["bom-ref"]) }],
  };
}

function componentOf({ name, version, license, url, sha512 }: ThirdParty, purl: string) {
  return {
    type: "library",
    "bom-ref": purl,
    name,
    ...(version === null ? {} : { version }),
    purl,
    licenses: [isExpression(license) ? { expression: license } : { license: { id: license } }],
    ...(sha512 === null ? {} : { hashes: [{ alg: "SHA-512", content: sha512 }] }),
    externalReferences: [{ type: "website", url }],
  };
}

/** CycloneDX wants a plain id where there is one. */
function isExpression(license: string): boolean {
  return /[ ()]/.test(license);
}

function purlName(name: string): string {
  return name.replace(/^@/, "%40");
}

function runtimePurl({ name, version, url }: ThirdParty): string {
  const place = /^https:\/\/github\.com\/([^/]+\/[^/]+)$/.exec(url)?.[1]?.toLowerCase();
  const at = version === null ? "" : `@${version}`;
  if (place === undefined) return `pkg:npm/${purlName(name)}${at}`;
  // Two parts may come from one repository.
  return `pkg:github/${place}${at}#${encodeURIComponent(name)}`;
}
