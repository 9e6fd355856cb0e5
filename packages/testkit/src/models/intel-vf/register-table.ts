import {
  AQ_INDEX_MASK,
  AQ_LENGTH,
  ARQ_REGISTERS,
  ATQ_REGISTERS,
  ICR0_ENA,
  VF_REGISTER,
  VF_REGISTER_COUNT,
  type AqRegisters,
} from "@vfmig/iavf";

/** The least reset that clears a register; a VF's own reset (VFR, FLR) is the smallest. */
export type ResetClass = "VFR" | "PFR" | "CORER" | "EMPR";

/** One register, or `count` of them at a distance of `stride` bytes. */
export interface RegisterSpec {
  readonly name: string;
  readonly offset: number;
  readonly count?: number;
  readonly stride?: number;
  readonly reset: ResetClass;
  /** Bits that a write changes; read-back has no others. */
  readonly mask: number;
  /** A read returns the value and clears it. */
  readonly readClears?: boolean;
}

const ALL = 0xffff_ffff;

/** What differs between the registers of two generations. */
export interface RegisterVariant {
  readonly txTailMask: number;
  readonly rxTailMask: number;
  /** Bits of a throttling interval that are stored. */
  readonly itrMask: number;
  /** The reset that clears the admin queues' lengths. */
  readonly aqLengthReset: ResetClass;
  readonly lutMask: number;
}

/** Length, VFE, OVFL, CRIT, ENABLE. */
const AQ_LENGTH_MASK =
  (AQ_LENGTH.LEN_MASK | AQ_LENGTH.VFE | AQ_LENGTH.OVFL | AQ_LENGTH.CRIT | AQ_LENGTH.ENABLE) >>> 0;

/** BAR0 of a VF, from the public register lists. What is not here reads as zero. */
export function registerTable(variant: RegisterVariant): readonly RegisterSpec[] {
  return [
    ...queueRegisters(variant),
    ...interruptRegisters(variant),
    ...mailboxRegisters("ATQ", ATQ_REGISTERS, variant),
    ...mailboxRegisters("ARQ", ARQ_REGISTERS, variant),
    { name: "VFGEN_RSTAT", offset: VF_REGISTER.VFGEN_RSTAT, reset: "PFR", mask: 0 },
    ...hashRegisters(variant),
  ];
}

function queueRegisters({ txTailMask, rxTailMask }: RegisterVariant): RegisterSpec[] {
  return [
    {
      name: "QTX_TAIL1",
      offset: VF_REGISTER.QTX_TAIL1,
      count: VF_REGISTER_COUNT.queues,
      reset: "PFR",
      mask: txTailMask,
    },
    {
      name: "QRX_TAIL1",
      offset: VF_REGISTER.QRX_TAIL1,
      count: VF_REGISTER_COUNT.queues,
      reset: "CORER",
      mask: rxTailMask,
    },
  ];
}

function interruptRegisters({ itrMask }: RegisterVariant): RegisterSpec[] {
  return [
    ...Array.from({ length: VF_REGISTER_COUNT.itrPerVector }, (_, index): RegisterSpec => ({
      name: `VFINT_ITRN1(${index})`,
      offset: VF_REGISTER.VFINT_ITRN1 + 64 * index,
      count: VF_REGISTER_COUNT.queueVectors,
      reset: "VFR",
      mask: itrMask,
    })),
    {
      // The interrupt logic keeps what is written here.
      name: "VFINT_DYN_CTLN1",
      offset: VF_REGISTER.VFINT_DYN_CTLN1,
      count: VF_REGISTER_COUNT.queueVectors,
      reset: "VFR",
      mask: ALL,
    },
    {
      name: "VFINT_ICR01",
      offset: VF_REGISTER.VFINT_ICR01,
      reset: "CORER",
      mask: 0,
      readClears: true,
    },
    {
      name: "VFINT_ITR01",
      offset: VF_REGISTER.VFINT_ITR01,
      count: VF_REGISTER_COUNT.itrPerVector,
      reset: "VFR",
      mask: itrMask,
    },
    {
      name: "VFINT_ICR0_ENA1",
      offset: VF_REGISTER.VFINT_ICR0_ENA1,
      reset: "CORER",
      mask: ICR0_ENA.ADMINQ | ICR0_ENA.LINK_STAT_CHANGE,
      readClears: true,
    },
    {
      name: "VFINT_STAT_CTL01",
      offset: VF_REGISTER.VFINT_STAT_CTL01,
      reset: "CORER",
      mask: 0xc,
    },
    { name: "VFINT_DYN_CTL01", offset: VF_REGISTER.VFINT_DYN_CTL01, reset: "VFR", mask: ALL },
  ];
}

function hashRegisters({ lutMask }: RegisterVariant): RegisterSpec[] {
  return [
    {
      name: "VFQF_HENA",
      offset: VF_REGISTER.VFQF_HENA,
      count: VF_REGISTER_COUNT.hena,
      reset: "CORER",
      mask: ALL,
    },
    {
      name: "VFQF_HKEY",
      offset: VF_REGISTER.VFQF_HKEY,
      count: VF_REGISTER_COUNT.hkey,
      reset: "CORER",
      mask: ALL,
    },
    {
      // Four entries, one per byte.
      name: "VFQF_HLUT",
      offset: VF_REGISTER.VFQF_HLUT,
      count: VF_REGISTER_COUNT.hlut,
      reset: "CORER",
      mask: lutMask,
    },
    {
      name: "VFQF_HREGION",
      offset: VF_REGISTER.VFQF_HREGION,
      count: VF_REGISTER_COUNT.hregion,
      reset: "CORER",
      mask: ALL,
    },
  ];
}

function mailboxRegisters(
  ring: string,
  offsets: AqRegisters,
  { aqLengthReset }: RegisterVariant,
): RegisterSpec[] {
  return [
    { name: `VF_${ring}BAL1`, offset: offsets.bal, reset: "EMPR", mask: ALL },
    { name: `VF_${ring}BAH1`, offset: offsets.bah, reset: "EMPR", mask: ALL },
    { name: `VF_${ring}LEN1`, offset: offsets.len, reset: aqLengthReset, mask: AQ_LENGTH_MASK },
    { name: `VF_${ring}H1`, offset: offsets.head, reset: "EMPR", mask: AQ_INDEX_MASK },
    { name: `VF_${ring}T1`, offset: offsets.tail, reset: "EMPR", mask: AQ_INDEX_MASK },
  ];
}
