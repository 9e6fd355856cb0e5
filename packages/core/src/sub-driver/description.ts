/**
 * What a device is, offers and uses, as plain JSON: made by its sub-driver, compared with another
 * host's before the source stops.
 */
export interface DeviceDescription {
  readonly driver: { readonly name: string; readonly version: string };
  readonly state: { readonly version: number; readonly reads: readonly number[] };
  readonly device: { readonly vendor: number; readonly device: number };
  /** What the device offers to a guest: sizes, counts, granted capabilities. */
  readonly offers: Readonly<Record<string, unknown>>;
  /** What the guest uses now, and a target must therefore offer. Empty on an idle target. */
  readonly uses: Readonly<Record<string, unknown>>;
}

/** One reason why a target cannot take a device. */
export interface Incompatibility {
  /** Path of the field, such as `queues.pairs`. */
  readonly field: string;
  readonly source: unknown;
  readonly target: unknown;
  /** What it means and what to do. */
  readonly reason: string;
}
