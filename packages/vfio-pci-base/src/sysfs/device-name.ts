import { baseFault } from "../kernel-calls.ts";

/** A device as its user names it: a PCI function, or a mediated device. */
export type DeviceName =
  | { readonly kind: "pci"; readonly name: string }
  | { readonly kind: "mdev"; readonly name: string };

const ADDRESS = /^(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * Reads a PCI address (`0000:3b:02.0`; the domain may be left out) or a mediated device's UUID.
 * @throws VfmigError `ERR_VFMIG_VFIO_ADDRESS`
 */
export function parseDeviceName(text: string): DeviceName {
  const lower = text.trim().toLowerCase();
  if (UUID.test(lower)) return { kind: "mdev", name: lower };
  const match = ADDRESS.exec(lower);
  // A slot has 5 bits.
  if (match !== null && Number.parseInt(match[3] ?? "", 16) < 32) {
    const [, domain = "0000", bus, slot, fn] = match;
    return { kind: "pci", name: `${domain}:${bus}:${slot}.${fn}` };
  }
  throw baseFault(
    "ERR_VFMIG_VFIO_ADDRESS",
    `"${text}" is neither a PCI address such as 0000:3b:02.0 nor the UUID of a mediated device. \`vfmig devices\` lists the addresses of this machine.`,
    { address: text },
  );
}

/** True for the text of a UUID. */
export function isUuid(text: string): boolean {
  return UUID.test(text.toLowerCase());
}

/** The 16 bytes of a UUID, in the order of its text, as the kernel's `uuid_t` has them. */
export function uuidBytes(uuid: string): Uint8Array {
  const digits = uuid.replaceAll("-", "");
  return Uint8Array.from({ length: 16 }, (_, i) =>
    Number.parseInt(digits.slice(i * 2, i * 2 + 2), 16),
  );
}
