import { VfmigError } from "@vfmig/core";
import type { DmaMapping, IovaRange, IrqInfo } from "@vfmig/core";
import { COMMAND } from "../codec/commands.ts";
import { DEVICE_INFO, readDeviceInfo, type DeviceInfoReply } from "../codec/device-info.ts";
import { describeRange, writeDmaMap, writeDmaUnmap } from "../codec/dma.ts";
import { readIrqInfo, writeIrqInfoRequest } from "../codec/irq-info.ts";
import { REGION_ACCESS, writeRegionAccess } from "../codec/region-access.ts";
import {
  readRegionInfo,
  writeRegionInfoRequest,
  type RegionInfoReply,
} from "../codec/region-info.ts";
import { writeSetIrqs, type SetIrqsRequest } from "../codec/set-irqs.ts";
import { copyRegionData } from "./access-slot.ts";
import { nothing, type Operation } from "./operation.ts";
import type { RequestBuffer } from "./request-buffer.ts";

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

export function getIrqInfo(index: number): Operation<IrqInfo> {
  return {
    command: COMMAND.DEVICE_GET_IRQ_INFO,
    what: `irq index ${index}`,
    write: (out) => writeIrqInfoRequest(out.view, out.at, index),
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

/** @throws VfmigError `ERR_VFMIG_VFIO_USER_UNSUPPORTED` for memory that no fd stands for */
export function mapDma(mapping: DmaMapping): Operation<void> {
  const { iova, size, read, write, memory, remote } = mapping;
  if (remote !== undefined || (memory !== undefined && memory.fd === undefined)) {
    throw new VfmigError(
      "ERR_VFMIG_VFIO_USER_UNSUPPORTED",
      `vfio-user: the mapping ${describeRange(mapping)} has no fd, and memory by messages is not spoken yet; use shared, file-backed memory such as a memfd`,
      { layer: "vfio-user", details: { iova, size } },
    );
  }
  const fdOffset = memory?.fdOffset ?? 0n;
  return {
    command: COMMAND.DMA_MAP,
    what: describeRange(mapping),
    ...(memory?.fd === undefined ? {} : { fds: [memory.fd] }),
    write: (out) => writeDmaMap(out.view, out.at, { iova, size, read, write, fdOffset }),
    read: nothing,
  };
}

export function unmapDma(range: IovaRange | "all"): Operation<void> {
  return {
    command: COMMAND.DMA_UNMAP,
    what: range === "all" ? "all mappings" : describeRange(range),
    write: (out) =>
      writeDmaUnmap(out.view, out.at, range === "all" ? { all: true } : { all: false, ...range }),
    read: nothing,
  };
}

export function resetDevice(): Operation<void> {
  return { command: COMMAND.DEVICE_RESET, write: () => 0, read: nothing };
}
