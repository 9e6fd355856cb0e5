import {
  RX_FLEX_STATUS,
  RX_STATUS,
  flexStatus,
  writeRxBack,
  writeRxBackTag2,
  writeRxFlexBack,
  type RxWriteBack,
} from "@vfmig/iavf";

/** What the write-back tells about a frame beside its bytes. */
export interface FrameNotes {
  /** Status and error bits of the last descriptor, in the places of the legacy format. */
  status: number;
  packetType: number;
  hash: number;
  tag: number;
  /** The second L2TAG2, or -1. */
  tag2: number;
}

/** Writes one descriptor back; one that is not the frame's last tells its length and DD, nothing else. */
export type RxWriter = (
  data: DataView,
  at: number,
  length: number,
  last: boolean,
  notes: FrameNotes,
) => void;

/** RXDID 1. */
export function writeLegacy(
  data: DataView,
  at: number,
  length: number,
  last: boolean,
  notes: FrameNotes,
): void {
  const back: RxWriteBack = {
    status: last ? notes.status | RX_STATUS.EOP : 0,
    length,
    packetType: last ? notes.packetType : 0,
    hash: last ? notes.hash : 0,
    tag: last ? notes.tag : 0,
  };
  if (last && notes.tag2 !== -1) writeRxBackTag2(data, at, back, notes.tag2);
  else writeRxBack(data, at, back);
}

/** RXDID 2. */
export function writeFlex(
  data: DataView,
  at: number,
  length: number,
  last: boolean,
  notes: FrameNotes,
): void {
  writeRxFlexBack(data, at, {
    status: last ? flexStatus(notes.status) | RX_FLEX_STATUS.EOF : 0,
    length,
    packetType: last ? notes.packetType : 0,
    hash: last ? notes.hash : 0,
    tag: last ? notes.tag : 0,
    tag2: last ? notes.tag2 : -1,
  });
}
