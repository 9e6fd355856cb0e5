import { expect } from "vitest";
import { join, u32, u64, type RawPeer } from "./raw-peer.ts";

export const GET = 0x1_0000;
export const SET = 0x2_0000;
export const PROBE = 0x4_0000;
export const EINVAL = 22;

export function regionRead(offset: number, count: number, region = 0): Uint8Array {
  return join(u64(offset), u32(region, count));
}

export function regionWrite(offset: number, data: Uint8Array, region = 0): Uint8Array {
  return join(u64(offset), u32(region, data.length), data);
}

export function dmaMap(iova: number, size: number, fdOffset = 0, flags = 3): Uint8Array {
  return join(u32(32, flags), u64(fdOffset, iova, size));
}

export function dmaUnmap(iova: number, size: number, flags = 0): Uint8Array {
  return join(u32(24, flags), u64(iova, size));
}

export function setState(state: number): Uint8Array {
  return join(u32(16, 2 | SET), u32(state, 0));
}

export async function errno(peer: RawPeer, id: number): Promise<number> {
  const reply = await peer.reply(id);
  if (reply.flags === 1) return 0;
  expect(reply.flags).toBe(0x21);
  expect(reply.payload).toHaveLength(0);
  return reply.errno;
}
