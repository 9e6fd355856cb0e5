import { ERRNO } from "../errno.ts";
import type { NativeIo } from "../native-io.ts";
import { systemCallError } from "../system-call-error.ts";
import * as abi from "./abi.ts";
import type { Libc } from "./libc.ts";
import { createScratch } from "./scratch.ts";

/** The limit of locked memory, of this process and of those that it may set one for. */
export function createResourceLimits(
  libc: Libc,
): Pick<NativeIo, "memoryLockLimit" | "raiseMemoryLock"> {
  const scratch = createScratch(libc, abi.RLIMIT_SIZE);
  const limits = new BigUint64Array(scratch.bytes.buffer);

  function read(pid: number): { readonly soft: bigint; readonly hard: bigint } {
    if (libc.prlimit(pid, abi.RLIMIT_MEMLOCK, 0, scratch.address) < 0) {
      throw systemCallError("prlimit", libc.errno(), { pid });
    }
    return { soft: limits[0] ?? 0n, hard: limits[1] ?? 0n };
  }

  return {
    memoryLockLimit: () => read(0).soft,
    raiseMemoryLock(bytes, pid = 0) {
      checkLimit(bytes, pid);
      const { soft, hard } = read(pid);
      if (soft >= bytes) return;
      limits[0] = bytes;
      limits[1] = hard > bytes ? hard : bytes;
      if (libc.prlimit(pid, abi.RLIMIT_MEMLOCK, scratch.address, 0) < 0) {
        throw systemCallError("prlimit", libc.errno(), { pid, bytes });
      }
    },
  };
}

/** Refuses what would be another number for the kernel. */
export function checkLimit(bytes: bigint, pid: number): void {
  const valid = Number.isInteger(pid) && pid >= 0 && pid <= 0x7fff_ffff;
  if (valid && bytes >= 0n && bytes < 1n << 64n) return;
  throw systemCallError("prlimit", ERRNO["EINVAL"] ?? 22, { pid, bytes });
}
