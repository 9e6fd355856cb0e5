import { socketPathBytes } from "../checks.ts";
import * as abi from "./abi.ts";
import type { Scratch } from "./scratch.ts";

/** Writes the address of `path` at the beginning of `scratch` (110 bytes); returns its length. */
export function putSocketAddress(scratch: Scratch, path: string): number {
  const encoded = socketPathBytes(path);
  const { bytes } = scratch;
  bytes.fill(0, 0, abi.SOCKADDR_UN.size);
  bytes[abi.SOCKADDR_UN.family] = abi.AF_UNIX;
  bytes.set(encoded, abi.SOCKADDR_UN.path);
  return abi.SOCKADDR_UN.path + encoded.length + 1;
}
