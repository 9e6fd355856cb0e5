import { checkBufferRange, checkIoctl, interfaceNameBytes } from "../checks.ts";
import { ERRNO } from "../errno.ts";
import type { NativeIo } from "../native-io.ts";
import { systemCallError } from "../system-call-error.ts";
import type { Descriptors } from "./descriptors.ts";
import { announce, type OpenFile } from "./open-file.ts";

const { EINVAL = 22, EIO = 5, EBUSY = 16, ENOTTY = 25 } = ERRNO;

/** Frames that wait in a TAP, the default length of its queue (`TUN_READQ_SIZE`, `linux/if_tun.h`). */
const WAITING = 500;
const ETHERNET_HEADER = 14;

/** The host's end of a TAP in memory. */
export interface FakeTapInterface {
  /** Down at first, as a new interface is. */
  up: boolean;
  /** Frames that were written to the descriptor, oldest first. */
  readonly written: Uint8Array[];
  /** The host sends a frame; false where the interface is down or its queue full. */
  send(frame: Uint8Array): boolean;
}

class FakeTap implements OpenFile, FakeTapInterface {
  readonly kind: OpenFile["kind"] = "device";
  readonly size = 0n;
  readonly shrinkSealed = false;
  readonly changed: Set<() => void> = new Set();
  readonly written: Uint8Array[] = [];
  readonly #waiting: Uint8Array[] = [];
  readonly #onClosed: () => void;
  up = false;

  constructor(onClosed: () => void) {
    this.#onClosed = onClosed;
  }

  readable(): boolean {
    return this.#waiting.length > 0;
  }

  writable(): boolean {
    return true;
  }

  closed(): void {
    this.#onClosed();
  }

  send(frame: Uint8Array): boolean {
    if (!this.up || this.#waiting.length >= WAITING) return false;
    this.#waiting.push(frame.slice());
    announce(this);
    return true;
  }

  next(): Uint8Array | undefined {
    return this.#waiting.shift();
  }
}

/** TAP interfaces in memory. */
export function createFakeTaps(descriptors: Descriptors): Pick<
  NativeIo,
  "read" | "write" | "ioctl" | "openTap"
> & {
  tapInterface(name: string): FakeTapInterface | undefined;
} {
  const taps = new Map<string, FakeTap>();

  function tap(call: string, fd: number): FakeTap {
    const file = descriptors.get(call, fd);
    if (file instanceof FakeTap) return file;
    throw systemCallError(call, EINVAL, { fd });
  }

  function numbered(pattern: string): string {
    let name = pattern;
    for (let number = 0; pattern.includes("%d") && (number === 0 || taps.has(name)); number++) {
      name = pattern.replace("%d", String(number));
    }
    return name;
  }

  return {
    tapInterface: (name) => taps.get(name),
    openTap(pattern) {
      interfaceNameBytes(pattern);
      const name = numbered(pattern);
      if (taps.has(name)) throw systemCallError("ioctl", EBUSY, { request: "TUNSETIFF", name });
      const file = new FakeTap(() => taps.delete(name));
      taps.set(name, file);
      return { fd: descriptors.open(file), name };
    },
    read(fd, into, offset, length) {
      const file = tap("read", fd);
      checkBufferRange("read", into, offset, length);
      const frame = file.next()?.subarray(0, length);
      if (frame === undefined) return -1;
      into.set(frame, offset);
      return frame.length;
    },
    write(fd, from, offset, length) {
      const file = tap("write", fd);
      checkBufferRange("write", from, offset, length);
      if (!file.up) throw systemCallError("write", EIO, { fd });
      if (length < ETHERNET_HEADER) throw systemCallError("write", EINVAL, { fd });
      file.written.push(from.slice(offset, offset + length));
      return length;
    },
    ioctl(fd, request, argument = 0) {
      checkIoctl(fd, request, argument);
      descriptors.get("ioctl", fd);
      throw systemCallError("ioctl", ENOTTY, { fd, request: `0x${request.toString(16)}` });
    },
  };
}
