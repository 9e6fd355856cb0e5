import type { Libc } from "./libc.ts";

/**
 * Finds the address of a buffer without asking the engine each time. The memory behind an ArrayBuffer never
 * moves; a detached one has length 0, and its callers have checked the length before they ask.
 *
 * The last buffer asked for stays alive until another one is.
 */
export function createAddressBook(libc: Libc): (buffer: ArrayBufferLike) => number {
  const known = new WeakMap<ArrayBufferLike, number>();
  let lastBuffer: ArrayBufferLike | undefined;
  let lastAddress = 0;
  return (buffer) => {
    if (buffer === lastBuffer) return lastAddress;
    let address = known.get(buffer);
    if (address === undefined) {
      address = libc.addressOf(buffer);
      known.set(buffer, address);
    }
    lastBuffer = buffer;
    lastAddress = address;
    return address;
  };
}
