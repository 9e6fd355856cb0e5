import { DYN_CTL, QUEUE_TAIL_MASK } from "@vfmig/iavf";
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
  function: {
    device: 0x154c,
    // 2048 bytes.
    payload: 4,
    // 8 GT/s, x8.
    linkCapabilities: 0x83,
    ari: 0x150,
  },
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
