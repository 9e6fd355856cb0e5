import { VfmigError } from "@vfmig/core";

/** The value below which the share `share` (0 to 1) of `values` lies; nearest rank. */
export function percentile(values: readonly number[], share: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = values.toSorted((a, b) => a - b);
  const rank = Math.ceil(share * sorted.length) - 1;
  return sorted[Math.min(sorted.length - 1, Math.max(0, rank))] ?? Number.NaN;
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** `12,345` and `1.25`: digits that a person can read. */
export function readable(value: number, digits = 0): string {
  return value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

/**
 * Parses a whole number of an option.
 * @throws VfmigError `ERR_VFMIG_CLI_USAGE` for anything but a whole number in `[min, max]`
 */
export function wholeNumber(option: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new VfmigError(
      "ERR_VFMIG_CLI_USAGE",
      `${option} takes a whole number from ${min} to ${max}, not "${text}".`,
      { layer: "cli", details: { option, min, max, given: text } },
    );
  };
}
