/** What a codec says of a slot when it copies it forward; bits. */
export const SLOT = {
  /** The guest asked to be told when this slot is done. */
  REPORTED: 1,
  /** The last slot of a frame (transmit); the device writes it back. */
  LAST: 2,
} as const;

/** How far the device is with a slot. */
export const PROGRESS = {
  /** Not done. */
  PENDING: 0,
  /** Done, or done when the frame's last slot is; the frame goes on in the next slot. */
  PART: 1,
  /** Done, and the frame ends here. */
  FRAME: 2,
} as const;

/**
 * A vendor's ring format. Methods get a view and the byte offset of a descriptor in it; they must not
 * allocate. `from` of {@link RingCodec.forward} is the guest's, who may change it at any time, so the
 * relay judges the copy and never the original; what the device leaves in the copy is hostile too.
 */
export interface RingCodec {
  /** Bytes of a descriptor: a power of two, so that none crosses a page. */
  readonly descriptorSize: number;
  /** True where the device writes the payload (receive), false where it reads it. */
  readonly deviceWrites: boolean;

  /** Copies a posted descriptor for the device and returns bits of {@link SLOT}. */
  forward(from: DataView, fromOffset: number, to: DataView, toOffset: number): number;
  /** Address of the payload buffer of a posted descriptor. */
  address(data: DataView, offset: number): number;
  /** Bytes of that buffer; 0 where the descriptor has none. */
  length(data: DataView, offset: number): number;
  /** A value of {@link PROGRESS}; `slot` is what {@link RingCodec.forward} returned. */
  progress(data: DataView, offset: number, slot: number): number;
  /** Bytes that the device wrote into the payload buffer; 0 for transmit. */
  written(data: DataView, offset: number): number;
  /** Writes a finished descriptor back; the word that announces it is stored last. */
  writeBack(from: DataView, fromOffset: number, to: DataView, toOffset: number): void;
  /** Writes a slot back as the last of a frame that came broken, which the guest's driver drops. */
  discard?(to: DataView, offset: number): void;
  /** Writes a whole frame of the relay's owner as one descriptor; returns bits of {@link SLOT}. */
  own?(to: DataView, offset: number, address: number, length: number): number;
}
