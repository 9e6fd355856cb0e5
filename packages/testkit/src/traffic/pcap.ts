import { VfmigError } from "@vfmig/core";

/** One frame of a capture. `bytes` is a view into the file's bytes. */
export interface PcapFrame {
  /** Microseconds since the capture's first frame, with a fraction; may step back, as clocks do. */
  readonly timeUs: number;
  readonly bytes: Uint8Array;
  /** Bytes that the frame had on the wire; more than `bytes.length` where the capture cut it. */
  readonly originalLength: number;
}

export interface Pcap {
  /** `LINKTYPE_*`; 1 is Ethernet. */
  readonly linkType: number;
  readonly frames: readonly PcapFrame[];
}

export const LINKTYPE_ETHERNET = 1;

/** Magic numbers of the classic format, read little endian: [big endian?, fractions per second]. */
const MAGICS: ReadonlyMap<number, readonly [littleEndian: boolean, perSecond: number]> = new Map([
  [0xa1b2c3d4, [true, 1e6]],
  [0xd4c3b2a1, [false, 1e6]],
  [0xa1b23c4d, [true, 1e9]],
  [0x4d3cb2a1, [false, 1e9]],
]);

const FILE_HEADER = 24;
const RECORD_HEADER = 16;
/** MAXIMUM_SNAPLEN of libpcap: no record of an honest file is longer. */
const MAX_RECORD = 262_144;

/**
 * Reads a classic pcap file (both endiannesses, microseconds or nanoseconds). The frames are views
 * into `bytes`: nothing is copied, and nothing is allocated for lengths that the file does not hold.
 * @throws VfmigError `ERR_VFMIG_PCAP_FORMAT`
 */
export function readPcap(bytes: Uint8Array): Pcap {
  if (bytes.length < FILE_HEADER) throw malformed("the file ends inside its header", 0);
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = data.getUint32(0, true);
  const format = MAGICS.get(magic);
  if (format === undefined) {
    throw malformed(`magic 0x${magic.toString(16)} is not that of a classic pcap file`, 0);
  }
  const [littleEndian, perSecond] = format;
  if (data.getUint16(4, littleEndian) !== 2) throw malformed("major version is not 2", 4);
  // The upper bits tell of a frame check sequence; frames here have none.
  const linkField = data.getUint32(20, littleEndian);
  if (linkField >>> 16 !== 0) throw malformed("frames carry a check sequence or flags", 20);
  return { linkType: linkField, frames: readRecords(bytes, data, littleEndian, perSecond) };
}

function readRecords(
  bytes: Uint8Array,
  data: DataView,
  littleEndian: boolean,
  perSecond: number,
): PcapFrame[] {
  const frames: PcapFrame[] = [];
  let firstUs: number | undefined;
  let at = FILE_HEADER;
  while (at < bytes.length) {
    if (bytes.length - at < RECORD_HEADER) throw malformed("a record header is cut", at);
    const seconds = data.getUint32(at, littleEndian);
    const fraction = data.getUint32(at + 4, littleEndian);
    const length = data.getUint32(at + 8, littleEndian);
    const originalLength = data.getUint32(at + 12, littleEndian);
    if (length > MAX_RECORD) throw malformed(`a record claims ${length} bytes`, at + 8);
    if (length > bytes.length - at - RECORD_HEADER) throw malformed("a record is cut", at);
    if (originalLength < length) throw malformed("a record holds more than the frame had", at);
    if (fraction >= perSecond) throw malformed("a record's time is beyond its second", at + 4);
    const timeUs = seconds * 1e6 + (fraction * 1e6) / perSecond;
    firstUs ??= timeUs;
    const start = at + RECORD_HEADER;
    frames.push({
      timeUs: timeUs - firstUs,
      bytes: bytes.subarray(start, start + length),
      originalLength,
    });
    at = start + length;
  }
  return frames;
}

function malformed(why: string, offset: number): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_PCAP_FORMAT",
    `capture at byte ${offset}: ${why}; write it as classic pcap with whole frames (tcpdump -s 0 -w)`,
    { layer: "testkit", details: { offset } },
  );
}
