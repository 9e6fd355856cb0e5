import type { NativeIo, MappedMemory } from "@vfmig/linux";

/** Memory that a base can map for a device: an anonymous file, mapped once. */
export function allocateShared(io: NativeIo, bytes: number): MappedMemory {
  const fd = io.memfd("vfmig-private", bytes);
  try {
    return io.mmap(fd, bytes);
  } finally {
    // The mapping keeps its own duplicate.
    io.close(fd);
  }
}
