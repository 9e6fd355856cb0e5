import { DYN_CTL, QUEUE_TAIL_MASK } from "@vfmig/iavf";
import type { VfProfile } from "../intel-vf/profile.ts";
import { registerTable } from "../intel-vf/register-table.ts";
import { iceDialect } from "./pf/dialect.ts";

const ALL = 0xffff_ffff;

/** The receive ring's base is aligned to 64 bytes; the bits below are another field. */
const ARQ_BASE_FIELD = 0x3f;

/** An adaptive VF of an E810, 8086:1889, with an ice PF. */
export const e810Profile: VfProfile = {
  name: "e810-vf",
  function: {
    device: 0x1889,
    // 512 bytes.
    payload: 2,
    // 16 GT/s, x16.
    linkCapabilities: 0x104,
    ari: 0x148,
  },
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
