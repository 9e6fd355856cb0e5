import { VfmigError } from "@vfmig/core";
import type { DmaMapping, IovaRange, IrqInfo } from "@vfmig/core";
import { COMMAND } from "../codec/commands.ts";
import { DEVICE_INFO, readDeviceInfo, type DeviceInfoReply } from "../codec/device-info.ts";
import { bitmapBytes } from "../codec/dirty-bitmap.ts";
import {
  describeRange,
  DMA_UNMAP_BITMAP,
  writeDmaMap,
  writeDmaUnmap,
  type DmaUnmapRequest,
} from "../codec/dma.ts";
import { readIrqInfo, writeIrqInfoRequest } from "../codec/irq-info.ts";
import { REGION_ACCESS, writeRegionAccess } from "../codec/region-access.ts";
import {
  readRegionInfo,
  writeRegionInfoRequest,
  type RegionInfoReply,
} from "../codec/region-info.ts";
import {
  readRegionIoFds,
  writeRegionIoFdsRequest,
  type RegionIoFd,
} from "../codec/region-io-fds.ts";
import {
  regionUnmappedBytes,
  writeRegionUnmapped,
  type RegionUnmapped,
} from "../codec/region-unmapped.ts";
import { WRITE_MULTI, writeWriteMulti, type SmallWrite } from "../codec/region-write-multi.ts";
import { needPayload } from "../codec/wire.ts";
import { writeSetIrqs, type SetIrqsRequest } from "../codec/set-irqs.ts";
import { copyRegionData } from "./access-slot.ts";
import { nothing, type Operation } from "./operation.ts";
import type { RequestBuffer } from "../exchange/request-buffer.ts";

export function getDeviceInfo(): Operation<DeviceInfoReply> {
  return {
    command: COMMAND.DEVICE_GET_INFO,
    write(out) {
      out.bytes.fill(0, out.at, out.at + DEVICE_INFO.BYTES);
      out.view.setUint32(out.at + DEVICE_INFO.ARGSZ, DEVICE_INFO.BYTES, true);
      return DEVICE_INFO.BYTES;
    },
    read: ({ view, at, length }) => readDeviceInfo(view, at, length),
  };
}

/** The region, and the fd that backs it where the reply brought one; the caller closes it. */
export function getRegionInfo(
  index: number,
  argsz: number,
): Operation<{ readonly info: RegionInfoReply; readonly fd: number | undefined }> {
  return {
    command: COMMAND.DEVICE_GET_REGION_INFO,
    what: `region ${index}`,
    write: (out) => writeRegionInfoRequest(out.view, out.at, index, argsz),
    read(message) {
      const info = readRegionInfo(message.view, message.at, message.length);
      return { info, fd: info.mmap ? message.fds.shift() : undefined };
    },
  };
}

/** @param argsz - room for the answer, in bytes */
export function getIrqInfo(index: number, argsz: number): Operation<IrqInfo> {
  return {
    command: COMMAND.DEVICE_GET_IRQ_INFO,
    what: `irq index ${index}`,
    write: (out) => writeIrqInfoRequest(out.view, out.at, index, argsz),
    read: ({ view, at, length }) => readIrqInfo(view, at, length),
  };
}

export function setIrqs(request: SetIrqsRequest, fds: readonly number[]): Operation<void> {
  const last = request.start + request.count;
  return {
    command: COMMAND.DEVICE_SET_IRQS,
    what: `irq index ${request.index}, vectors ${request.start} to ${last}, ${request.action}`,
    fds,
    write(out) {
      out.reserve(REGION_ACCESS.BYTES + 8 + request.values.length);
      return writeSetIrqs(out.view, out.bytes, out.at, request);
    },
    read: nothing,
  };
}

export function readRegion(index: number, offset: number, into: Uint8Array): Operation<void> {
  return {
    command: COMMAND.REGION_READ,
    what: `region ${index}, offset 0x${offset.toString(16)}, ${into.length} bytes`,
    write(out) {
      writeRegionAccess(out.view, out.at, offset, index, into.length);
      return REGION_ACCESS.BYTES;
    },
    read: (message) => copyRegionData(message, into),
  };
}

/** Writes the request of a region write; returns its payload's length. */
export function buildRegionWrite(
  out: RequestBuffer,
  index: number,
  offset: number,
  from: Uint8Array,
): number {
  out.reserve(REGION_ACCESS.BYTES + from.length);
  writeRegionAccess(out.view, out.at, offset, index, from.length);
  out.bytes.set(from, out.at + REGION_ACCESS.DATA);
  return REGION_ACCESS.BYTES + from.length;
}

export function writeRegion(index: number, offset: number, from: Uint8Array): Operation<void> {
  return {
    command: COMMAND.REGION_WRITE,
    what: `region ${index}, offset 0x${offset.toString(16)}, ${from.length} bytes`,
    write: (out) => buildRegionWrite(out, index, offset, from),
    read: nothing,
  };
}

/** Says that areas of a region are not mapped any more; the server must have said that it takes this. */
export function regionUnmapped(request: RegionUnmapped): Operation<void> {
  return {
    command: COMMAND.REGION_UNMAPPED,
    what: `region ${request.region}`,
    write(out) {
      out.reserve(regionUnmappedBytes(request));
      return writeRegionUnmapped(out.view, out.at, request);
    },
    read: nothing,
  };
}

/** The mapping, with its fd where `sendFd` and there is one; else the server reaches it by messages. */
export function mapDma(mapping: DmaMapping, sendFd: boolean): Operation<void> {
  const { iova, size, read, write, memory } = mapping;
  const fd = sendFd ? memory?.fd : undefined;
  const fdOffset = fd === undefined ? 0n : (memory?.fdOffset ?? 0n);
  return {
    command: COMMAND.DMA_MAP,
    what: describeRange(mapping),
    ...(fd === undefined ? {} : { fds: [fd] }),
    write: (out) => writeDmaMap(out.view, out.at, { iova, size, read, write, fdOffset }),
    read: nothing,
  };
}

/** Dirty pages that an unmap gives back: merged into `bits`, page n of the range at bit n. */
export interface UnmapDirty {
  readonly pageSize: number;
  readonly bits: Uint8Array;
}

export function unmapDma(range: IovaRange | "all", dirty?: UnmapDirty): Operation<void> {
  const request = unmapRequest(range, dirty);
  return {
    command: COMMAND.DMA_UNMAP,
    what: range === "all" ? "all mappings" : describeRange(range),
    write: (out) => writeDmaUnmap(out.view, out.at, request),
    read({ bytes, at, length }) {
      if (dirty === undefined || request.all || request.bitmap === undefined) return;
      const wanted = request.bitmap.bytes;
      needPayload("reply to VFIO_USER_DMA_UNMAP", length, DMA_UNMAP_BITMAP.BYTES + wanted);
      const from = at + DMA_UNMAP_BITMAP.DATA;
      const count = Math.min(wanted, dirty.bits.length);
      for (let i = 0; i < count; i += 1) {
        dirty.bits[i] = (dirty.bits[i] ?? 0) | (bytes[from + i] ?? 0);
      }
    },
  };
}

function unmapRequest(range: IovaRange | "all", dirty: UnmapDirty | undefined): DmaUnmapRequest {
  if (range === "all") return { all: true };
  const { iova, size } = range;
  if (dirty === undefined) return { all: false, iova, size };
  const { pageSize, bits } = dirty;
  const pages = (size + BigInt(pageSize) - 1n) / BigInt(pageSize);
  if (BigInt(bits.length) * 8n < pages) {
    throw new VfmigError(
      "ERR_VFMIG_DMA_LOGGING_REQUEST",
      `vfio-user: a bitmap of ${bits.length} bytes is too short for ${pages} pages`,
      { layer: "vfio-user", details: { bytes: bits.length, pages } },
    );
  }
  return { all: false, iova, size, bitmap: { pageSize, bytes: bitmapBytes(size, pageSize) } };
}

/** Several small writes in one message; the server has to take them (`write_multiple`). */
export function writeRegions(writes: readonly SmallWrite[]): Operation<void> {
  return {
    command: COMMAND.REGION_WRITE_MULTI,
    what: `${writes.length} writes`,
    write(out) {
      out.reserve(WRITE_MULTI.BYTES + writes.length * WRITE_MULTI.ENTRY_BYTES);
      return writeWriteMulti(out.view, out.bytes, out.at, writes);
    },
    read: nothing,
  };
}

/** The io fds of a region; the caller closes those of the reply that it takes. */
export function getRegionIoFds(
  index: number,
  argsz: number,
): Operation<{ readonly argsz: number; readonly entries: readonly RegionIoFd[] }> {
  return {
    command: COMMAND.DEVICE_GET_REGION_IO_FDS,
    what: `region ${index}`,
    write: (out) => writeRegionIoFdsRequest(out.view, out.at, index, argsz),
    read(message) {
      const { view, at, length, fds } = message;
      const answer = readRegionIoFds(view, at, length, fds);
      for (const { fd } of answer.entries) {
        const place = fds.indexOf(fd);
        if (place >= 0) fds.splice(place, 1);
      }
      return answer;
    },
  };
}

export function resetDevice(): Operation<void> {
  return { command: COMMAND.DEVICE_RESET, write: () => 0, read: nothing };
}
