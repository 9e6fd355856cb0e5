import { DYN_CTL, QUEUE_TAIL_MASK } from "@vfmig/iavf";
import type { FunctionSpec } from "../pci/function-table.ts";
import { EXTENDED_CAPABILITY } from "../pci/function-table.ts";
import type { VfModelOptions } from "../intel-vf/options.ts";
import type { VfProfile } from "../intel-vf/profile.ts";
import { registerTable } from "../intel-vf/register-table.ts";
import { i40eDialect } from "./pf/dialect.ts";

/** The hardware keeps multiples of 8 descriptors: read-back has the low three bits clear. */
const RX_TAIL_MASK = 0x1ff8;

/** Throttling intervals have 12 bits. */
const ITR_MASK = 0xfff;

/** Table entries have four bits. */
const LUT_MASK = 0x0f0f_0f0f;

/** A VF of the 700 series, 8086:154c, with an i40e PF. Offsets from published dumps. */
export const i40eProfile: VfProfile = {
  name: "i40e-vf",
  config,
  registers: registerTable({
    txTailMask: QUEUE_TAIL_MASK,
    rxTailMask: RX_TAIL_MASK,
    itrMask: ITR_MASK,
    aqLengthReset: "EMPR",
    lutMask: LUT_MASK,
  }),
  arqBaseFieldMask: 0,
  // WB_ON_ITR does not exist on this generation.
  controlKept: (DYN_CTL.ITR_INDX_MASK | DYN_CTL.INTERVAL_MASK | DYN_CTL.SW_ITR_INDX_MASK) >>> 0,
  rssRegisters: true,
  hashSctpTag: true,
  flrClearsMailbox: "hardware",
  dialect: i40eDialect,
};

function config({ revision, vectors, bar0Size }: VfModelOptions): FunctionSpec {
  return {
    vendor: 0x8086,
    device: 0x154c,
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
      // Payload to 2048, role-based errors, function level reset (bit 28).
      deviceCapabilities: 0x1000_8cc4,
      // 8 GT/s, x8.
      linkCapabilities: 0x83,
      deviceCapabilities2: 0x1f,
    },
    extended: [
      { id: EXTENDED_CAPABILITY.AER, version: 2, offset: 0x100 },
      { id: EXTENDED_CAPABILITY.ARI, version: 1, offset: 0x150 },
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
