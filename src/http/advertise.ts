// The hostname under which this machine tells others to reach it. `--advertise` names it, or the
// network that it is in: a machine of a cluster often has several.

import { BlockList, isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { MatrixError } from "../error.ts";

type Interfaces = ReturnType<typeof networkInterfaces>;

/**
 * Reads a hostname or an address, which stays as it is; the name of a network interface, which
 * stands for its address; or a CIDR block such as 10.0.0.0/8, which stands for the address of this
 * machine inside of it. Fails with `usage`.
 */
export function advertisedHost(text: string, interfaces: Interfaces = networkInterfaces()): string {
  const own = interfaces[text];
  if (own !== undefined) return firstOf(own.map(({ address }) => address)) ?? refuse(text, own);
  const all = Object.values(interfaces).flatMap((list) => list ?? []);
  if (text.includes("/")) {
    const block = blockOf(text);
    const inside = all.filter(
      ({ address, family }) => block?.check(address, family === "IPv6" ? "ipv6" : "ipv4") === true,
    );
    return firstOf(inside.map(({ address }) => address)) ?? refuse(text, all);
  }
  if (isIP(text) === 0 && !/^[\w.-]+$/.test(text)) refuse(text, all);
  return text;
}

/** IPv4 comes first, because its address alone says which network it is in. */
function firstOf(addresses: readonly string[]): string | undefined {
  return addresses.find((address) => isIP(address) === 4) ?? addresses[0];
}

function blockOf(text: string): BlockList | null {
  const [network = "", bits = ""] = text.split("/");
  const kind = isIP(network);
  if (kind === 0 || !/^\d+$/.test(bits) || Number(bits) > (kind === 6 ? 128 : 32)) return null;
  const block = new BlockList();
  block.addSubnet(network, Number(bits), kind === 6 ? "ipv6" : "ipv4");
  return block;
}

function refuse(text: string, known: readonly { readonly address: string }[]): never {
  throw new MatrixError("usage", `--advertise ${text}: this machine has no such address`, {
    hint: `name a host, a network interface or a block such as 10.0.0.0/8; addresses: ${known.map(({ address }) => address).join(", ") || "none"}`,
  });
}
