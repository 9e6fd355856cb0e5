/** The other end of an interrupt vector: an eventfd, or a function in tests. */
export interface IrqEvent {
  /** Raises the event. Never blocks and never throws. */
  signal(): void;
  /** The eventfd behind it, for a base that hands it to the kernel; undefined where there is none. */
  readonly fd?: number | undefined;
}

/** What a `SET_IRQS` carries; `events[i]` undefined takes the target from vector `start + i`. */
export type IrqData =
  | { readonly kind: "none" }
  | { readonly kind: "bool"; readonly values: Uint8Array }
  | { readonly kind: "event"; readonly events: readonly (IrqEvent | undefined)[] };

/**
 * `VFIO_DEVICE_SET_IRQS`, decoded. `trigger` with `none` and `count` 0 disables the whole index.
 * The events stay the caller's: it keeps them open until they are replaced or taken away.
 */
export interface IrqRequest {
  readonly index: number;
  readonly start: number;
  readonly count: number;
  readonly action: "mask" | "unmask" | "trigger";
  readonly data: IrqData;
}
