import { VfmigError } from "@vfmig/core";

/** What a guest's driver met that a sound device never shows. */
export type GuestFaultKind =
  /** Another PCI function than an Intel VF, or one without what the driver needs. */
  | "device"
  /** RSTAT never says that the function is there. */
  | "reset-state"
  /** A mailbox register reads back other than written, or an index is out of range. */
  | "mailbox-register"
  /** A mailbox descriptor came back without DD, with an error, or with nonsense in it. */
  | "mailbox-descriptor"
  /** A request had no answer in time. */
  | "missing-reply"
  /** An answer to nothing that was asked. */
  | "unexpected-reply"
  /** The PF refused a request that it should grant. */
  | "refused"
  /** An answer that the driver cannot use. */
  | "reply"
  | "no-carrier"
  /** A Tx descriptor came back changed or out of order. */
  | "tx-completion"
  /** Nothing was sent for 5 seconds though frames wait. */
  | "tx-hang"
  /** DD on a descriptor that was never posted. */
  | "rx-unposted"
  /** A later descriptor is done, the one whose turn it is is not. */
  | "rx-order"
  /** A frame lies in the ring and no interrupt told of it. */
  | "rx-stall"
  /** A received descriptor with an impossible length or chain. */
  | "rx-descriptor"
  /** An access to the device failed. */
  | "access";

/** A fault of a device as its guest sees it: the guest is broken from then on. */
export class GuestFault extends VfmigError {
  readonly kind: GuestFaultKind;

  constructor(
    kind: GuestFaultKind,
    what: string,
    details: Readonly<Record<string, unknown>> = {},
    cause?: unknown,
  ) {
    super(
      "ERR_VFMIG_GUEST_FAULT",
      `guest driver (${kind}): ${what}; no sound device does this, look at the driver that ran`,
      { layer: "testkit", details: { kind, ...details }, cause },
    );
    this.kind = kind;
  }
}

/** The fault itself, or the fault that an error of the device's access path is. */
export function asFault(error: unknown): GuestFault {
  if (error instanceof GuestFault) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new GuestFault("access", message, {}, error);
}

/** A driver that was used out of order, or with options out of range. */
export function useError(why: string): VfmigError {
  return new VfmigError("ERR_VFMIG_GUEST_USE", `guest driver: ${why}`, { layer: "testkit" });
}
