import { DYN_CTL, QUEUE_TAIL_MASK } from "@vfmig/iavf";
import type { VfModelOptions } from "../intel-vf/options.ts";
import type { VfProfile } from "../intel-vf/profile.ts";
import { registerTable } from "../intel-vf/register-table.ts";
import { EXTENDED_CAPABILITY, type FunctionSpec } from "../pci/function-table.ts";
import { iceDialect } from "./pf/dialect.ts";

const ALL = 0xffff_ffff;

/** The receive ring's base is aligned to 64 bytes; the bits below are another field. */
const ARQ_BASE_FIELD = 0x3f;

/** An adaptive VF of an E810, 8086:1889, with an ice PF. */
export const e810Profile: VfProfile = {
  name: "e810-vf",
  config,
  registers: registerTable({
    // A doorbell of 32 bits.
    txTailMask: ALL,
    // Reads back as written; the queue ignores the low three bits.
    rxTailMask: QUEUE_TAIL_MASK,
    // Public headers disagree on the layout of ITRN1, so what is written is stored whole.
    itrMask: ALL,
    aqLengthReset: "PFR",
    lutMask: ALL,
  }),
  arqBaseFieldMask: ARQ_BASE_FIELD,
  controlKept:
    (DYN_CTL.ITR_INDX_MASK |
      DYN_CTL.INTERVAL_MASK |
      DYN_CTL.SW_ITR_INDX_MASK |
      DYN_CTL.WB_ON_ITR) >>>
    0,
  rssRegisters: false,
  hashSctpTag: false,
  flrClearsMailbox: "pf",
  dialect: iceDialect,
};

function config({ revision, vectors, bar0Size }: VfModelOptions): FunctionSpec {
  return {
    vendor: 0x8086,
    device: 0x1889,
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
      // Payload to 512, role-based errors, function level reset (bit 28).
      deviceCapabilities: 0x1000_8cc2,
      // 16 GT/s, x16.
      linkCapabilities: 0x104,
      deviceCapabilities2: 0x1f,
    },
    extended: [
      { id: EXTENDED_CAPABILITY.AER, version: 2, offset: 0x100 },
      { id: EXTENDED_CAPABILITY.ARI, version: 1, offset: 0x148 },
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
