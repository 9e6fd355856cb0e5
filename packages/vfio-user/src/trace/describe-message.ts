import { PCI_REGION, PCI_IRQ } from "@vfmig/core";
import { COMMAND } from "../codec/commands.ts";
import { DMA_ACCESS } from "../codec/dma-access.ts";
import { DMA_MAP, DMA_UNMAP } from "../codec/dma.ts";
import { DEVICE_FEATURE, FEATURE, FEATURE_FLAG } from "../codec/device-feature.ts";
import { DEVICE_INFO } from "../codec/device-info.ts";
import { IRQ_INFO } from "../codec/irq-info.ts";
import { MIG_DATA } from "../codec/migration.ts";
import { REGION_ACCESS } from "../codec/region-access.ts";
import { REGION_INFO } from "../codec/region-info.ts";
import { REGION_UNMAPPED } from "../codec/region-unmapped.ts";
import { SET_IRQS } from "../codec/set-irqs.ts";
import { VERSION } from "../codec/version.ts";

/** Bytes of data that a line shows. */
const DATA_SHOWN = 16;
/** Longest text of a VERSION that a line shows. */
const TEXT_SHOWN = 512;

const REGIONS = new Map<number, string>(
  Object.entries(PCI_REGION).map(([name, index]) => [index, name]),
);
const IRQS = new Map<number, string>(Object.entries(PCI_IRQ).map(([name, index]) => [index, name]));
const COMMANDS = new Map<number, string>(
  Object.entries(COMMAND).map(([name, value]) => [value, name]),
);
const FEATURES = new Map<number, string>(
  Object.entries(FEATURE).map(([name, index]) => [index, name]),
);

/** A payload as it came from a peer: nothing in it was checked, so nothing may be read past its end. */
export class Fields {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(payload: Uint8Array) {
    this.#bytes = payload;
    this.#view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  }

  get length(): number {
    return this.#bytes.length;
  }

  /** A 32-bit field, or `?` where the payload is too short for it. */
  u32(at: number): string {
    return at + 4 <= this.length ? hex(this.#view.getUint32(at, true)) : "?";
  }

  decimal(at: number): string {
    return at + 4 <= this.length ? String(this.#view.getUint32(at, true)) : "?";
  }

  number(at: number): number {
    return at + 4 <= this.length ? this.#view.getUint32(at, true) : -1;
  }

  u64(at: number): string {
    return at + 8 <= this.length ? hex(this.#view.getBigUint64(at, true)) : "?";
  }

  version(): string {
    if (this.length < VERSION.BYTES) return "?";
    const text = printable(this.#bytes.subarray(VERSION.DATA, VERSION.DATA + TEXT_SHOWN));
    return `major=${this.#view.getUint16(0, true)} minor=${this.#view.getUint16(2, true)} caps=${text}`;
  }

  /** The first bytes from `at` on, as they lie in memory. */
  data(at: number): string {
    const shown = this.#bytes.subarray(at, at + DATA_SHOWN);
    const digits = Array.from(shown, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return at + DATA_SHOWN < this.length ? `${digits}..` : digits;
  }
}

/** `DMA_MAP`, without the prefix that all have. */
export function shortName(command: number): string {
  return COMMANDS.get(command) ?? `COMMAND_${command}`;
}

/** What a request asks, in one line without its end. */
export function describeRequest(command: number, fields: Fields, noReply: boolean): string {
  const name = shortName(command);
  switch (command) {
    case COMMAND.VERSION:
      return `${name} ${fields.version()}`;
    case COMMAND.DMA_MAP:
      return `${name} flags=${fields.u32(DMA_MAP.FLAGS)} offset=${fields.u64(DMA_MAP.OFFSET)} iova=${fields.u64(DMA_MAP.ADDRESS)} size=${fields.u64(DMA_MAP.SIZE)}`;
    case COMMAND.DMA_UNMAP:
      return `${name} flags=${fields.u32(DMA_UNMAP.FLAGS)} iova=${fields.u64(DMA_UNMAP.ADDRESS)} size=${fields.u64(DMA_UNMAP.SIZE)}`;
    case COMMAND.DEVICE_GET_REGION_INFO:
    case COMMAND.DEVICE_GET_REGION_IO_FDS:
      return `${name} index=${region(fields.number(REGION_INFO.INDEX))}`;
    case COMMAND.DEVICE_GET_IRQ_INFO:
      return `${name} index=${irq(fields.number(IRQ_INFO.INDEX))}`;
    case COMMAND.DEVICE_SET_IRQS:
      return `${name} flags=${fields.u32(SET_IRQS.FLAGS)} index=${irq(fields.number(SET_IRQS.INDEX))} start=${fields.decimal(SET_IRQS.START)} count=${fields.decimal(SET_IRQS.COUNT)}${fields.length > SET_IRQS.DATA ? ` data=${fields.data(SET_IRQS.DATA)}` : ""}`;
    case COMMAND.REGION_UNMAPPED:
      return `${name} index=${region(fields.number(REGION_UNMAPPED.REGION))} count=${fields.decimal(REGION_UNMAPPED.COUNT)}`;
    case COMMAND.REGION_READ:
      return `RD  ${access(fields)}`;
    case COMMAND.REGION_WRITE:
      return `${noReply ? "WR*" : "WR "} ${access(fields)} ${fields.data(REGION_ACCESS.DATA)}`;
    case COMMAND.REGION_WRITE_MULTI:
      return `${name} count=${fields.u64(0)} ${fields.data(8)}`;
    case COMMAND.DMA_READ:
    case COMMAND.DMA_WRITE:
      return `${name} iova=${fields.u64(DMA_ACCESS.ADDRESS)} count=${fields.u64(DMA_ACCESS.COUNT)}${fields.length > DMA_ACCESS.DATA ? ` data=${fields.data(DMA_ACCESS.DATA)}` : ""}`;
    case COMMAND.DEVICE_FEATURE:
      return `${name} ${feature(fields)}`;
    case COMMAND.MIG_DATA_READ:
    case COMMAND.MIG_DATA_WRITE:
      return `${name} size=${fields.decimal(MIG_DATA.SIZE)}`;
    default:
      return COMMANDS.has(command) ? name : `${name} ${fields.data(0)}`;
  }
}

/** What a reply without error says, or nothing where it is a plain success. */
export function describeReply(command: number, fields: Fields): string {
  switch (command) {
    case COMMAND.VERSION:
      return fields.version();
    case COMMAND.DEVICE_GET_INFO:
      return `flags=${fields.u32(DEVICE_INFO.FLAGS)} regions=${fields.decimal(DEVICE_INFO.NUM_REGIONS)} irqs=${fields.decimal(DEVICE_INFO.NUM_IRQS)}`;
    case COMMAND.DEVICE_GET_REGION_INFO:
      return `flags=${fields.u32(REGION_INFO.FLAGS)} argsz=${fields.decimal(REGION_INFO.ARGSZ)} size=${fields.u64(REGION_INFO.SIZE)} offset=${fields.u64(REGION_INFO.OFFSET)}`;
    case COMMAND.DEVICE_GET_IRQ_INFO:
      return `flags=${fields.u32(IRQ_INFO.FLAGS)} count=${fields.decimal(IRQ_INFO.COUNT)}`;
    case COMMAND.REGION_READ:
    case COMMAND.DMA_READ:
      return fields.data(REGION_ACCESS.DATA);
    case COMMAND.DEVICE_FEATURE:
      return fields.length > DEVICE_FEATURE.DATA ? `data=${fields.data(DEVICE_FEATURE.DATA)}` : "";
    case COMMAND.MIG_DATA_READ:
      return `size=${fields.decimal(MIG_DATA.SIZE)}`;
    default:
      return "";
  }
}

function access(fields: Fields): string {
  const place = `${region(fields.number(REGION_ACCESS.REGION))}+${fields.u64(REGION_ACCESS.OFFSET)}`;
  return `${place} ${fields.decimal(REGION_ACCESS.COUNT)}`;
}

function feature(fields: Fields): string {
  const flags = fields.number(DEVICE_FEATURE.FLAGS);
  if (flags < 0) return "?";
  const index = flags & FEATURE_FLAG.INDEX_MASK;
  const operations = (["GET", "SET", "PROBE"] as const).filter((op) => flags & FEATURE_FLAG[op]);
  const data =
    fields.length > DEVICE_FEATURE.DATA ? ` data=${fields.data(DEVICE_FEATURE.DATA)}` : "";
  return `${operations.join("|")} ${FEATURES.get(index) ?? index}${data}`;
}

function region(index: number): string {
  return index < 0 ? "?" : (REGIONS.get(index) ?? `region${index}`);
}

function irq(index: number): string {
  if (index < 0) return "?";
  const name = IRQS.get(index);
  return name === undefined ? String(index) : `${index}(${name})`;
}

function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

/** A peer's text cannot begin a line of its own, nor move a terminal's cursor. */
function printable(text: Uint8Array): string {
  return Array.from(text.at(-1) === 0 ? text.subarray(0, -1) : text, (byte) =>
    byte >= 0x20 && byte < 0x7f
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, "0")}`,
  ).join("");
}
