import { networkInterfaces } from "node:os";
import type { NativeIo } from "@vfmig/linux";

// `linux/sockios.h`, `linux/if.h`.
const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 1;

/** Brings a network interface of this machine up. */
export function bringUp(io: NativeIo, name: string): void {
  const request = new Uint8Array(40);
  request.set(new TextEncoder().encode(name));
  const view = new DataView(request.buffer);
  const socket = io.datagramSocket();
  io.ioctl(socket, SIOCGIFFLAGS, request);
  view.setUint16(16, view.getUint16(16, true) | IFF_UP, true);
  io.ioctl(socket, SIOCSIFFLAGS, request);
  io.close(socket);
}

/** Asks this machine whether it has one of its own addresses; undefined where it has none. */
export function arpProbe(mac: readonly number[]): Uint8Array | undefined {
  const all = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  const own = all.find(({ family, internal }) => family === "IPv4" && !internal);
  if (own === undefined) return undefined;
  const frame = new Uint8Array(60);
  frame.fill(0xff, 0, 6);
  frame.set(mac, 6);
  frame.set([8, 6, 0, 1, 8, 0, 6, 4, 0, 1], 12);
  frame.set(mac, 22);
  frame.set(own.address.split(".").map(Number), 38);
  return frame;
}
