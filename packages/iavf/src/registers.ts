/**
 * BAR0 of an Intel adaptive virtual function, in bytes from its start. Names are those of the public
 * register lists; every register is 32 bits wide and little-endian.
 */
export const VF_REGISTER = {
  /** Tx tail of queue 0; see {@link txTail}. */
  QTX_TAIL1: 0x0000,
  /** Rx tail of queue 0; see {@link rxTail}. */
  QRX_TAIL1: 0x2000,
  /** Interval 0 of queue vector 0; see {@link vectorItr}. */
  VFINT_ITRN1: 0x2800,
  /** Control of the first queue vector (MSI-X vector 1); see {@link vectorControl}. */
  VFINT_DYN_CTLN1: 0x3800,
  VFINT_ICR01: 0x4800,
  /** Interval 0 of the mailbox vector; intervals 1 and 2 follow at 4 and 8. */
  VFINT_ITR01: 0x4c00,
  VFINT_ICR0_ENA1: 0x5000,
  VFINT_STAT_CTL01: 0x5400,
  VFINT_DYN_CTL01: 0x5c00,
  VF_ARQBAH1: 0x6000,
  VF_ATQH1: 0x6400,
  VF_ATQLEN1: 0x6800,
  VF_ARQBAL1: 0x6c00,
  VF_ARQT1: 0x7000,
  VF_ARQH1: 0x7400,
  VF_ATQBAH1: 0x7800,
  VF_ATQBAL1: 0x7c00,
  VF_ARQLEN1: 0x8000,
  VF_ATQT1: 0x8400,
  VFGEN_RSTAT: 0x8800,
  VFQF_HENA: 0xc400,
  VFQF_HKEY: 0xcc00,
  VFQF_HLUT: 0xd000,
  VFQF_HREGION: 0xd400,
} as const;

/** How many of each indexed register a 700-series VF has. */
export const VF_REGISTER_COUNT = {
  queues: 16,
  queueVectors: 16,
  itrPerVector: 3,
  hena: 2,
  hkey: 13,
  hlut: 16,
  hregion: 8,
} as const;

/** BAR0 of a 700-series VF (8086:154c), in bytes. */
export const BAR0_SIZE_700 = 0x1_0000;

/** BAR0 of an E810 VF (8086:1889), in bytes. */
export const BAR0_SIZE_E810 = 0x2_0000;

/** Bits of `VF_ATQLEN1` and `VF_ARQLEN1`. */
export const AQ_LENGTH = {
  LEN_MASK: 0x3ff,
  VFE: 0x1000_0000,
  OVFL: 0x2000_0000,
  CRIT: 0x4000_0000,
  ENABLE: 0x8000_0000,
} as const;

/** Heads and tails of the admin queues count to 1,023. */
export const AQ_INDEX_MASK = 0x3ff;

/** Queue tails of the 700 series count to 8,191. */
export const QUEUE_TAIL_MASK = 0x1fff;

/** Bits of `VFINT_DYN_CTL01` and `VFINT_DYN_CTLN1`. */
export const DYN_CTL = {
  INTENA: 0x1,
  CLEARPBA: 0x2,
  SWINT_TRIG: 0x4,
  ITR_INDX_SHIFT: 3,
  ITR_INDX_MASK: 0x18,
  INTERVAL_SHIFT: 5,
  INTERVAL_MASK: 0x1_ffe0,
  SW_ITR_INDX_ENA: 0x100_0000,
  SW_ITR_INDX_MASK: 0x600_0000,
  WB_ON_ITR: 0x4000_0000,
  /** Set: this write leaves INTENA as it is. */
  INTENA_MSK: 0x8000_0000,
  /** What the driver writes to re-arm a vector without throttling. */
  REARM: 0x19,
} as const;

/** Bits of `VFINT_ICR01`. */
export const ICR0 = {
  INTEVENT: 0x1,
  QUEUE_0: 0x2,
  LINK_STAT_CHANGE: 0x200_0000,
  ADMINQ: 0x4000_0000,
  SWINT: 0x8000_0000,
} as const;

/** Bits of `VFINT_ICR0_ENA1`. */
export const ICR0_ENA = { LINK_STAT_CHANGE: 0x200_0000, ADMINQ: 0x4000_0000 } as const;

/** Values of `VFGEN_RSTAT` bits 1:0. */
export const RSTAT = { IN_PROGRESS: 0, COMPLETED: 1, ACTIVE: 2, MASK: 3 } as const;

/** What reads return while the function is not there. */
export const DEAD_READS = { ALL_ONES: 0xffff_ffff, DEADBEEF: 0xdead_beef } as const;

/** Offsets of one mailbox ring's five registers. */
export interface AqRegisters {
  readonly bal: number;
  readonly bah: number;
  readonly len: number;
  readonly head: number;
  readonly tail: number;
}

/** Send ring, VF to PF. */
export const ATQ_REGISTERS: AqRegisters = {
  bal: VF_REGISTER.VF_ATQBAL1,
  bah: VF_REGISTER.VF_ATQBAH1,
  len: VF_REGISTER.VF_ATQLEN1,
  head: VF_REGISTER.VF_ATQH1,
  tail: VF_REGISTER.VF_ATQT1,
};

/** Receive ring, PF to VF. */
export const ARQ_REGISTERS: AqRegisters = {
  bal: VF_REGISTER.VF_ARQBAL1,
  bah: VF_REGISTER.VF_ARQBAH1,
  len: VF_REGISTER.VF_ARQLEN1,
  head: VF_REGISTER.VF_ARQH1,
  tail: VF_REGISTER.VF_ARQT1,
};

/** Offset of the Tx tail of `queue`, 0 to 15. */
export function txTail(queue: number): number {
  return VF_REGISTER.QTX_TAIL1 + 4 * queue;
}

/** Offset of the Rx tail of `queue`, 0 to 15. */
export function rxTail(queue: number): number {
  return VF_REGISTER.QRX_TAIL1 + 4 * queue;
}

/** Offset of the control register of MSI-X vector `vector`; vector 0 is the mailbox's. */
export function vectorControl(vector: number): number {
  return vector === 0
    ? VF_REGISTER.VFINT_DYN_CTL01
    : VF_REGISTER.VFINT_DYN_CTLN1 + 4 * (vector - 1);
}

/** Offset of throttle interval `itr` (0 Rx, 1 Tx, 2) of MSI-X vector `vector`. */
export function vectorItr(vector: number, itr: number): number {
  return vector === 0
    ? VF_REGISTER.VFINT_ITR01 + 4 * itr
    : VF_REGISTER.VFINT_ITRN1 + 64 * itr + 4 * (vector - 1);
}

/** The queue whose Tx tail stands at `offset`, or -1. */
export function txTailQueue(offset: number): number {
  const queue = (offset - VF_REGISTER.QTX_TAIL1) / 4;
  return Number.isInteger(queue) && queue >= 0 && queue < VF_REGISTER_COUNT.queues ? queue : -1;
}

/** The queue whose Rx tail stands at `offset`, or -1. */
export function rxTailQueue(offset: number): number {
  const queue = (offset - VF_REGISTER.QRX_TAIL1) / 4;
  return Number.isInteger(queue) && queue >= 0 && queue < VF_REGISTER_COUNT.queues ? queue : -1;
}

/** The MSI-X vector (1 and up) whose control register stands at `offset`, or -1. */
export function controlVector(offset: number): number {
  const n = (offset - VF_REGISTER.VFINT_DYN_CTLN1) / 4;
  return Number.isInteger(n) && n >= 0 && n < VF_REGISTER_COUNT.queueVectors ? n + 1 : -1;
}
