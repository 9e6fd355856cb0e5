import { EXTENDED_CAPABILITY, type FunctionSpec } from "../pci/function-table.ts";
import type { VfModelOptions } from "./options.ts";

/** What differs between the configuration spaces of two generations. */
export interface FunctionVariant {
  readonly device: number;
  /** Largest payload as Device Capabilities code it: 0 is 128 bytes, and each step twice as much. */
  readonly payload: number;
  /** Speed in bits 0 to 3 (3 is 8 GT/s, 4 is 16 GT/s), lanes from bit 4. */
  readonly linkCapabilities: number;
  /** Offset of ARI; the other extended capabilities are at the same places. */
  readonly ari: number;
}

/** Role-based errors, function level reset (bit 28). */
const DEVICE_CAPABILITIES = 0x1000_8cc0;

/** Configuration space, MSI-X and BARs of one VF. */
export function functionSpec(
  { device, payload, linkCapabilities, ari }: FunctionVariant,
  { revision, vectors, bar0Size }: VfModelOptions,
): FunctionSpec {
  return {
    vendor: 0x8086,
    device,
    revision,
    classCode: 0x02_0000,
    subsystemVendor: 0x8086,
    subsystemDevice: 0,
    bars: [
      { index: 0, size: bar0Size },
      { index: 3, size: 0x4000 },
    ],
    msix: { offset: 0x70, vectors, bar: 3, tableOffset: 0, pendingOffset: 0x2000 },
    express: {
      offset: 0xa0,
      deviceCapabilities: DEVICE_CAPABILITIES | payload,
      linkCapabilities,
      deviceCapabilities2: 0x1f,
    },
    extended: [
      { id: EXTENDED_CAPABILITY.AER, version: 2, offset: 0x100 },
      { id: EXTENDED_CAPABILITY.ARI, version: 1, offset: ari },
      {
        id: EXTENDED_CAPABILITY.TPH,
        version: 1,
        offset: 0x1a0,
        registers: [{ name: "TPH without steering table", offset: 0x1a4, size: 4, value: 1 }],
      },
      { id: EXTENDED_CAPABILITY.ACS, version: 1, offset: 0x1d0 },
    ],
  };
}
