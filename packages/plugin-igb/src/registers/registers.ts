/**
 * BAR0 of an 82576 virtual function, in bytes from its start. Names are those of the public register
 * lists (Linux `igbvf/regs.h`); every register is 32 bits wide and little-endian.
 */
export const REGISTER = {
  CTRL: 0x0000,
  /** CTRL again. */
  CTRL_DUP: 0x0004,
  STATUS: 0x0008,
  /** 16 dwords of mailbox memory. */
  VMBMEM: 0x0800,
  V2PMAILBOX: 0x0c40,
  PBACL: 0x0f04,
  PSRTYPE: 0x0f0c,
  EICS: 0x1520,
  EIMS: 0x1524,
  EIMC: 0x1528,
  EIAC: 0x152c,
  EIAM: 0x1530,
  EICR: 0x1580,
  /** Vector 0; vectors 1 and 2 follow at 4 and 8. */
  EITR: 0x1680,
  IVAR0: 0x1700,
  IVAR_MISC: 0x1740,
  /** First register of receive queue 0; see {@link QUEUE}. */
  RX_QUEUE: 0x2800,
  TX_QUEUE: 0x3800,
} as const;

/** Registers of one queue, from its first. */
export const QUEUE = {
  BAL: 0x00,
  BAH: 0x04,
  LEN: 0x08,
  /** Receive only: buffer sizes and descriptor type. */
  SRRCTL: 0x0c,
  HEAD: 0x10,
  DCA: 0x14,
  TAIL: 0x18,
  CONTROL: 0x28,
  /** Transmit only: address of the head write-back, and bit 0 that enables it. */
  WRITE_BACK_LOW: 0x38,
  WRITE_BACK_HIGH: 0x3c,
  /** From one queue to the next. */
  STRIDE: 0x100,
} as const;

/** Bytes of BAR0. */
export const BAR0_SIZE = 0x4000;
/** Queue pairs of a VF; the second has no interrupt and gets no frames. */
export const QUEUES = 2;
/** MSI-X vectors of a VF. */
export const VECTORS = 3;
/** Dwords of mailbox memory. */
export const MAILBOX_DWORDS = 16;

/** Bit of CTRL that resets the VF. */
export const CTRL_RESET = 0x0400_0000;

/** Bits of `V2PMAILBOX`. */
export const MAILBOX = {
  /** Write: a message for the PF is ready. */
  REQ: 0x01,
  /** Write: the PF's message was read. */
  ACK: 0x02,
  /** The VF has the buffer. */
  VFU: 0x04,
  /** The PF has the buffer. */
  PFU: 0x08,
  /** The PF wrote a message; a read clears it. */
  PFSTS: 0x10,
  /** The PF took our message; a read clears it. */
  PFACK: 0x20,
  /** The PF is in reset. */
  RSTI: 0x40,
  /** The PF's reset is done; a read clears it. */
  RSTD: 0x80,
} as const;

/** Bits of `V2PMAILBOX` that a read clears. */
export const MAILBOX_READ_TO_CLEAR: number = MAILBOX.PFSTS | MAILBOX.PFACK | MAILBOX.RSTD;

/** Bits of `RXDCTL` and `TXDCTL`. */
export const QUEUE_ENABLE = 0x0200_0000;

/** `SRRCTL`: buffer bytes in units of 1,024, and the descriptor type. */
export const SRRCTL = {
  BUFFER_MASK: 0x7f,
  BUFFER_UNIT: 1024,
  TYPE_MASK: 0x0e00_0000,
  /** Advanced descriptors with one buffer. */
  ONE_BUFFER: 0x0200_0000,
} as const;

/** `TXCTL` bit 11: descriptor write-backs may overtake the data's; Linux clears it. */
export const TXCTL_RELAXED_WRITE_BACK = 0x800;

/** `IVAR` entries. */
export const IVAR = { VECTOR_MASK: 0x03, VALID: 0x80 } as const;

/** All three vectors in `EIMS` and its kin. */
export const ALL_VECTORS = 0x7;

/** Interval of `EITR`; bit 31 asks the counter to be left alone. */
export const EITR_INTERVAL = 0x7ffe;

/** Statistics of a VF: 32 bits wide, they wrap and nothing clears them. */
export const STATISTICS: readonly number[] = [
  0x0f10, 0x0f14, 0x0f18, 0x0f34, 0x0f3c, 0x0f40, 0x0f44, 0x0f48, 0x0f50,
];
