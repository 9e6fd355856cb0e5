import { createLinuxIo } from "@vfmig/linux";
import type { NativeIo } from "@vfmig/linux";
import { createFakeIo } from "@vfmig/linux/fake";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomUUID } from "node:crypto";

/** System calls to test against, and a way to count what is open. */
export interface TestIo {
  readonly name: string;
  open(): { readonly io: NativeIo; openFds(): number; readonly path: string };
}

/** The same tests run against both. */
export const TEST_IOS: readonly TestIo[] = [
  {
    name: "in memory",
    open() {
      const io = createFakeIo();
      return { io, openFds: () => io.openFds, path: "/fake/device.sock" };
    },
  },
  {
    name: "on Linux",
    open() {
      const io = createLinuxIo();
      const path = join(tmpdir(), `vfmig-${randomUUID()}.sock`);
      return { io, openFds: () => readdirSync("/proc/self/fd").length, path };
    },
  },
];
