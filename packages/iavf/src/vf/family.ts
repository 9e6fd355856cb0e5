/**
 * What tells one family of Intel VFs from another, as far as a plugin has to know. Everything else is
 * the same code.
 */
export interface VfFamily {
  /** Name and version of the sub-driver; the version is that of its package. */
  readonly driver: { readonly name: string; readonly version: string };
  /** As messages call such a device: "700-series VF". */
  readonly title: string;
  /** PCI device id; the vendor is 0x8086. */
  readonly device: number;
  /** Length of BAR0 in bytes. */
  readonly bar0Size: number;
  /**
   * `VIRTCHNL_VF_OFFLOAD_*` bits that no PF of this family grants. To ask for them is harmless, and some
   * PF drivers tell a guest's age by what it asks.
   */
  readonly neverGranted: number;
  /** Rx descriptor formats (RXDID) that the relay can carry. */
  readonly rxFormats: readonly number[];
  /** Most bytes of an Rx buffer that a queue context can say. */
  readonly maxRxBuffer: number;
  /** The PF leaves a half of a pair alone whose ring has length 0 in CONFIG_VSI_QUEUES. */
  readonly halvesApart: boolean;
  /** Bits of an Rx tail that read back as they were written. */
  readonly rxTailMask: number;
  /** Low bits of the receive mailbox's base that are another field. */
  readonly arqBaseField: number;
  /** The PF strips VLAN tags (v1) from each ADD_VLAN on. */
  readonly vlansStrip: boolean;
  /**
   * Capability bits that the PF grants only where others, which it has too, are not asked for: what is
   * granted, and what would be without it.
   */
  readonly grantedInstead: readonly (readonly [granted: number, instead: number])[];
  /** What a PF gives a VF that its host does not trust. */
  readonly untrusted: UntrustedLimits;
}

/** Filters of a VF that its host does not trust, of those that a guest asks for. */
export interface UntrustedLimits {
  /** MAC addresses, the VF's own included and broadcast not. */
  readonly macs: number;
  /** VLANs of v1; v2 tells its limit itself. */
  readonly vlans: number;
}
