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
  /** `VIRTCHNL_VF_OFFLOAD_*` bits that can be carried to another host; all others are hidden from the guest. */
  readonly carriedCaps: number;
  /** Rx descriptor formats (RXDID) that the relay can carry. */
  readonly rxFormats: readonly number[];
  /** Most bytes of an Rx buffer that a queue context can say. */
  readonly maxRxBuffer: number;
}
