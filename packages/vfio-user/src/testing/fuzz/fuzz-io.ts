import { randomUUID } from "node:crypto";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLinuxIo } from "@vfmig/linux";
import type { NativeIo } from "@vfmig/linux";
import { createFakeIo } from "@vfmig/linux/fake";

/** What hostile clients and their server speak over. */
export interface FuzzIo {
  readonly io: NativeIo;
  readonly path: string;
  /** Descriptors that are open now. */
  openFds(): number;
}

/** In memory, or, where `real`, over sockets and with memory, eventfds and descriptors of the kernel. */
export function createFuzzIo(real: boolean, onWatchError: (error: unknown) => void): FuzzIo {
  if (!real) {
    const io = createFakeIo({ onWatchError });
    return { io, path: "/fuzz/device.sock", openFds: () => io.openFds };
  }
  const io = createLinuxIo({ onWatchError });
  const path = join(tmpdir(), `vfmig-fuzz-${randomUUID()}.sock`);
  return { io, path, openFds: () => readdirSync("/proc/self/fd").length };
}
