import { refusal } from "./errno.ts";

/** 2^32: weight of the upper half of a 64-bit field. */
const HIGH = 0x1_0000_0000;

/** A 64-bit field as a number; above 2^53 it is rounded, and so stays above every real limit. */
export function readU64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * HIGH + view.getUint32(at, true);
}

/** Writes a non-negative safe integer as 64 bits, without a BigInt. */
export function writeU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % HIGH, true);
  view.setUint32(at + 4, Math.floor(value / HIGH), true);
}

/** Refuses a payload that is shorter than its fixed part. */
export function needPayload(what: string, length: number, least: number): void {
  if (length < least) {
    throw refusal("EINVAL", `${what}: the payload has ${length} bytes, and needs ${least}`, {
      length,
      least,
    });
  }
}

/** Refuses a payload whose length is not the one that its fields give. */
export function exactPayload(what: string, length: number, expected: number): void {
  if (length !== expected) {
    throw refusal("EINVAL", `${what}: the payload has ${length} bytes instead of ${expected}`, {
      length,
      expected,
    });
  }
}

/** Refuses an argsz that has no room for the fixed part of the answer. */
export function needArgsz(what: string, argsz: number, least: number): void {
  if (argsz < least) {
    throw refusal("EINVAL", `${what}: argsz is ${argsz}, and must be at least ${least}`, {
      argsz,
      least,
    });
  }
}
