import type { LedgerSnapshot, SentFlow, TrafficChoice } from "../traffic/index.ts";
import type { MoveOutcome } from "./move.ts";

/** A device of a host, as a guest's VMM reaches it. */
export interface MachineAddress {
  readonly name: string;
  /** Unix socket on which the device speaks vfio-user. */
  readonly socketPath: string;
}

/** Drivers that a simulated guest may have, by their Linux names. */
export type GuestDriverKind = "iavf" | "igbvf";

/** What the scenario tells a guest's process; answered one by one. */
export type GuestCommand =
  | {
      readonly do: "open";
      /** The first one is where the guest boots. */
      readonly machines: readonly MachineAddress[];
      readonly ramBytes: number;
      readonly queuePairs: number;
      /** The guest's driver; default `iavf`. */
      readonly driver?: GuestDriverKind | undefined;
      /** Whether the VMM maps what it may of BAR0; default no. */
      readonly maps?: boolean | undefined;
      readonly traffic: TrafficChoice;
      readonly guestMac: string;
    }
  | { readonly do: "start"; readonly rate: number }
  | { readonly do: "move"; readonly to: string; readonly saveStateTo?: string | undefined }
  | { readonly do: "stop" }
  | { readonly do: "report" }
  | { readonly do: "close" };

export interface GuestReport {
  readonly sent: readonly SentFlow[];
  readonly received: LedgerSnapshot;
}

export interface GuestAnswers {
  readonly open: null;
  readonly start: null;
  readonly move: MoveOutcome;
  readonly stop: null;
  readonly report: GuestReport;
  readonly close: null;
}

/** Comes unasked: the guest's driver met what no sound device does. */
export interface GuestFaultEvent {
  readonly fault: string;
}
