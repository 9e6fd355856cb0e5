import type { VfFamily } from "../family.ts";

/** The family's Rx formats as GET_SUPPORTED_RXDIDS tells them: bit n is RXDID n. */
export function formatBits({ rxFormats }: VfFamily): bigint {
  return rxFormats.reduce((bits, format) => bits | (1n << BigInt(format)), 0n);
}

/** The numbers of the bits that are set, ascending. */
export function formatNumbers(bits: bigint): number[] {
  return Array.from({ length: 64 }, (_, n) => n).filter((n) => ((bits >> BigInt(n)) & 1n) === 1n);
}
