/** One thing that two runs of the same steps show otherwise to the guest. */
export interface Difference {
  /** Number of the step at or after which it shows. */
  readonly op: number;
  readonly kind: "read" | "write" | "call" | "interrupt" | "memory";
  /** The same for the same thing in any pair of runs. */
  readonly key: string;
  /** For people: `read of BAR0+0x8800, 4 bytes`. */
  readonly place: string;
  /** What each of the two shows, for people. */
  readonly left: string;
  readonly right: string;
}

/** Region names of a PCI function, and numbers beyond them. */
export function regionName(region: number): string {
  if (region <= 5) return `BAR${region}`;
  return region === 6 ? "ROM" : region === 7 ? "config" : `region ${region}`;
}

/** `BAR0+0x8800, 4 bytes`. */
export function accessName(region: number, offset: number, length: number): string {
  return `${regionName(region)}+0x${offset.toString(16)}, ${length} ${length === 1 ? "byte" : "bytes"}`;
}

/** Bytes for people: a register's as one number, others in their order. */
export function bytesText(data: Uint8Array): string {
  if (data.length > 0 && data.length <= 8) {
    return `0x${Buffer.from(data.toReversed()).toString("hex")}`;
  }
  const shown = Buffer.from(data.subarray(0, 32)).toString("hex");
  return data.length > 32 ? `${shown}... (${data.length} bytes)` : shown;
}
