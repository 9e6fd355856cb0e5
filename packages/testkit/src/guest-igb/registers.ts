/** BAR0 of an 82576 VF as Linux `igbvf` uses it, in bytes from its start (`igbvf/regs.h`). */
export const IGB = {
  CTRL: 0x0000,
  STATUS: 0x0008,
  VMBMEM: 0x0800,
  V2PMAILBOX: 0x0c40,
  EIMS: 0x1524,
  EIMC: 0x1528,
  EIAC: 0x152c,
  EIAM: 0x1530,
  EICR: 0x1580,
  EITR0: 0x1680,
  IVAR0: 0x1700,
  IVAR_MISC: 0x1740,
  RDBAL: 0x2800,
  RDBAH: 0x2804,
  RDLEN: 0x2808,
  SRRCTL: 0x280c,
  RDH: 0x2810,
  RDT: 0x2818,
  RXDCTL: 0x2828,
  TDBAL: 0x3800,
  TDBAH: 0x3804,
  TDLEN: 0x3808,
  TDH: 0x3810,
  TXCTL: 0x3814,
  TDT: 0x3818,
  TXDCTL: 0x3828,
} as const;

export const CTRL_RST = 0x0400_0000;
export const STATUS_LU = 0x2;
export const QUEUE_ENABLE = 0x0200_0000;
/** Prefetch, host and write-back thresholds as igbvf sets them. */
export const RX_THRESHOLDS: number = (4 << 16) | (8 << 8) | 8;
export const TX_THRESHOLDS: number = (16 << 16) | (1 << 8) | 8;
/** 2 KiB buffers, advanced descriptors with one of them, drop where there is none. */
export const SRRCTL_ONE_BUFFER = 0x8200_0002;
export const RX_BUFFER = 2048;
export const TXCTL_RELAXED_WRITE_BACK = 0x800;
/** Vector 0 for transmit, 1 for receive, 2 for the mailbox. */
export const VECTOR = { tx: 0, rx: 1, mailbox: 2 } as const;
export const VECTORS = 3;
export const IVAR0_WORD = 0x8081;
export const IVAR_MISC_WORD = 0x82;
export const ALL_VECTORS = 0x7;

/** Bits of V2PMAILBOX. */
export const BIT = {
  REQ: 0x01,
  ACK: 0x02,
  VFU: 0x04,
  PFSTS: 0x10,
  PFACK: 0x20,
  RSTI: 0x40,
  RSTD: 0x80,
} as const;

/** Messages and flags of their first dword (`igb/e1000_mbx.h`). */
export const MESSAGE = {
  RESET: 0x1,
  SET_MAC: 0x2,
  SET_MULTICAST: 0x3,
  SET_VLAN: 0x4,
  SET_LPE: 0x5,
  INFO_SHIFT: 16,
  CTS: 0x2000_0000,
  NACK: 0x4000_0000,
  ACK: 0x8000_0000,
} as const;
