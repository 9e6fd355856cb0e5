import { networkInterfaces } from "node:os";
import type { NativeIo } from "../native-io.ts";

// `linux/sockios.h`, `linux/if.h`.
const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 1;

/** Brings a network interface of this machine up; needs CAP_NET_ADMIN. */
export function bringUp(io: NativeIo, name: string): void {
  const request = new Uint8Array(40);
  request.set(new TextEncoder().encode(name));
  const view = new DataView(request.buffer);
  const socket = io.datagramSocket();
  try {
    io.ioctl(socket, SIOCGIFFLAGS, request);
    view.setUint16(16, view.getUint16(16, true) | IFF_UP, true);
    io.ioctl(socket, SIOCSIFFLAGS, request);
  } finally {
    io.close(socket);
  }
}

/** An IPv4 address of this machine, as four bytes; undefined where it has none but loopback. */
export function ownAddress(): readonly number[] | undefined {
  const all = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  const found = all.find(({ family, internal }) => family === "IPv4" && !internal);
  return found?.address.split(".").map(Number);
}

/** Asks whether anybody has `address`, as a host does before it takes it (RFC 5227). */
export function arpProbe(mac: readonly number[], address: readonly number[]): Uint8Array {
  const frame = new Uint8Array(60);
  frame.fill(0xff, 0, 6);
  frame.set(mac, 6);
  frame.set([8, 6, 0, 1, 8, 0, 6, 4, 0, 1], 12);
  frame.set(mac, 22);
  frame.set(address, 38);
  return frame;
}
