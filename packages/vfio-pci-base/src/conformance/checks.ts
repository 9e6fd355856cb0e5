import { AssertionError, ok } from "node:assert/strict";
import { VfmigError } from "@vfmig/core";
import type { MappedMemory, NativeIo } from "@vfmig/linux";

/** Fails unless `run` throws an error with `code`; returns it. */
export async function refuses(
  code: string,
  run: () => unknown,
  errno?: string,
): Promise<VfmigError> {
  try {
    await run();
  } catch (error) {
    if (VfmigError.is(error) && error.code === code) {
      if (errno === undefined || error.details["errno"] === errno) return error;
    }
    throw error;
  }
  throw new AssertionError({ message: `expected a refusal with ${code}, and nothing was refused` });
}

/** Memory that a kernel can pin. */
export function sharedMemory(io: NativeIo, bytes: number, write = true): MappedMemory {
  const fd = io.memfd("vfmig-conformance", bytes);
  try {
    return io.mmap(fd, bytes, { write });
  } finally {
    io.close(fd);
  }
}

/** A 16-bit field of some region. */
export function read16(
  device: { readRegion(index: number, offset: number, into: Uint8Array): void },
  index: number,
  offset: number,
): number {
  const bytes = new Uint8Array(2);
  device.readRegion(index, offset, bytes);
  return new DataView(bytes.buffer).getUint16(0, true);
}

export { deepEqual, equal } from "node:assert/strict";
export { ok };
