import { type Clock, type Logger, silentLogger, systemClock, VfmigError } from "@vfmig/core";
import { createLinuxIo, type NativeIo, type TapInterface } from "@vfmig/linux";
import { type CountingPort, type PacketEnd, PacketPort } from "./packet-port.ts";

/** How long frames are dropped unasked once the interface was found to be down, in milliseconds. */
const DOWN_MS = 100;

export interface TapPortOptions {
  /** The interface, 1 to 15 bytes. */
  readonly name: string;
  readonly io?: NativeIo;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

/**
 * A wire to the host's own network: the device is at the far end of TAP interface `name`, which is made
 * where there is none (that needs CAP_NET_ADMIN) and has to be brought up by the host. Frames are dropped
 * and counted while it is down.
 * @throws VfmigError `ERR_VFMIG_WIRE_TAP`
 */
export function openTapPort(options: TapPortOptions): CountingPort {
  const { name, clock = systemClock, logger = silentLogger } = options;
  const io = options.io ?? createLinuxIo();
  const tap = openTap(io, name);
  return new PacketPort({ io, clock, logger, name: `tap ${tap.name}` }, new TapEnd(io, clock, tap));
}

class TapEnd implements PacketEnd {
  readonly fd: number;
  readonly #io: NativeIo;
  readonly #clock: Clock;
  /** Until when the interface is taken to be down. */
  #downUntilMs = 0;

  constructor(io: NativeIo, clock: Clock, tap: TapInterface) {
    this.#io = io;
    this.#clock = clock;
    this.fd = tap.fd;
  }

  read(into: Uint8Array): number {
    const length = this.#io.read(this.fd, into, 0, into.length);
    // What sends is up.
    if (length >= 0) this.#downUntilMs = 0;
    return length;
  }

  write(from: Uint8Array, offset: number, length: number): number {
    if (this.#downUntilMs > 0 && this.#clock.now() < this.#downUntilMs) return -2;
    try {
      return this.#io.write(this.fd, from, offset, length);
    } catch (error) {
      if (!VfmigError.is(error) || error.details["errno"] !== "EIO") throw error;
      this.#downUntilMs = this.#clock.now() + DOWN_MS;
      return -2;
    }
  }

  close(): void {
    this.#io.close(this.fd);
  }
}

/** What to do about the usual refusals. */
const REMEDIES: Readonly<Record<string, string>> = {
  EPERM: "run as root, or let the host make it: ip tuntap add NAME mode tap user USER",
  EACCES: "run as root, or give this user access to /dev/net/tun",
  ENOENT: "load the kernel's tun module",
  ENODEV: "load the kernel's tun module",
  EBUSY: "end the process that has it, or choose another name",
  EINVAL:
    "choose a name of 1 to 15 bytes of a TAP with one queue, not of another kind of interface",
};

function openTap(io: NativeIo, name: string): TapInterface {
  try {
    return io.openTap(name);
  } catch (cause) {
    const errno = VfmigError.is(cause) ? String(cause.details["errno"]) : "";
    const remedy = (REMEDIES[errno] ?? "look at what the system said").replace("NAME", name);
    throw new VfmigError(
      "ERR_VFMIG_WIRE_TAP",
      `cannot open TAP interface "${name}" (${errno}): ${remedy}`,
      { layer: "testkit", details: { name, errno }, cause },
    );
  }
}
