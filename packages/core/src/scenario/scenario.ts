import type { z } from "zod";
import type { Logger } from "../logger.ts";
import type { DeviceIdentity } from "../device/info.ts";
import type { DeviceDescription, Incompatibility } from "../sub-driver/description.ts";

/** A device that the host serves, as a scenario may use it. */
export interface ServedDevice {
  readonly name: string;
  readonly identity: DeviceIdentity;
  /** Unix socket on which the device speaks vfio-user. */
  readonly socketPath: string;
  describe(): Promise<DeviceDescription>;
  /** Asks this device's plugin whether it could take what `source` describes. */
  compare(source: DeviceDescription): Promise<readonly Incompatibility[]>;
  /** What the driver says of itself: what is trapped, ring indices, counters. */
  status(): Promise<Readonly<Record<string, unknown>>>;
}

export interface ScenarioProgress {
  /** 0 to 1. */
  readonly fraction: number;
  readonly text: string;
}

export interface ScenarioContext<Options = unknown> {
  readonly options: Options;
  /** Devices of the configuration, in its order. */
  readonly devices: readonly ServedDevice[];
  /** Folder of the configuration. */
  readonly folder: string;
  /** An empty folder for sockets, removed afterwards. */
  readonly scratch: string;
  readonly moves: number;
  /** Frames a second that arrive on the wire. */
  readonly rate: number;
  readonly seed: number;
  /** Where to keep the device-state stream of the last move, if a person wants to look at it. */
  readonly saveStateTo?: string | undefined;
  readonly logger: Logger;
  progress(progress: ScenarioProgress): void;
  readonly signal: AbortSignal;
}

/** Frame counts of one direction and flow: sent = delivered + duringBlackout + duringSwitch + lost. */
export interface FlowReport {
  readonly direction: "toGuest" | "fromGuest";
  readonly flow: string;
  readonly sent: number;
  readonly delivered: number;
  readonly duringBlackout: number;
  /** Frames for a queue that stood still to change between its own rings and shadow ones. */
  readonly duringSwitch: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  readonly corrupted: number;
}

export interface RingIndices {
  readonly queue: number;
  readonly tx: number;
  readonly rx: number;
}

/** What a device's log named at a stop, against what was needed. In pages of 4 KiB. */
export interface DirtyPagesReport {
  readonly reported: number;
  /** Of these, how many differ from what the target had: no log can do with fewer. */
  readonly changed: number;
  /** More than needed: `reported - changed`. */
  readonly extra: number;
  /** `reported / changed`; null where nothing had changed. */
  readonly ratio: number | null;
  /** Pages that differ, and that neither the log nor the guest named: 0, or the guest is broken. */
  readonly forgotten: number;
}

/** One move of the device, in the order in which things happen. Times in milliseconds. */
export interface MoveReport {
  readonly from: string;
  readonly to: string;
  /** From the request to stop to the first frame that the target accepts, memory included. */
  readonly stopToRunMs: number;
  readonly phases: Readonly<Record<string, number>>;
  readonly stateBytes: number;
  readonly dirtyPages: number;
  /** How good the log was. */
  readonly dirty: DirtyPagesReport;
  readonly copiedPages: number;
  readonly framesDuringBlackout: number;
  /** The guest's ring indices at the stop. */
  readonly ringIndices: readonly RingIndices[];
}

/** One stretch in which a queue pair stood still to change between its own rings and shadow ones. */
export interface SwitchReport {
  readonly device: string;
  readonly queue: number;
  /** Which way, and how it ended where it did not succeed, in the driver's words. */
  readonly kind: string;
  /** Length of the window, in milliseconds. */
  readonly ms: number;
  /** Frames that met the stopped queue. */
  readonly frames: number;
}

export interface ScenarioReport {
  readonly moves: readonly MoveReport[];
  /** In the order of time; none where queues are always shadowed. */
  readonly switches: readonly SwitchReport[];
  readonly flows: readonly FlowReport[];
  readonly seconds: number;
  /** Why devices took frames not, and how many: by the wire's words, such as `no-descriptor`. */
  readonly refusals: Readonly<Record<string, number>>;
  /** Time for which link flow control held frames back from a device, in milliseconds. */
  readonly heldMs: number;
  /** What the driver of the first device said of itself while traffic ran. */
  readonly driverStatus: Readonly<Record<string, unknown>>;
}

/** What `vfmig demo` runs against served devices; named in the configuration, never built in. */
export interface ScenarioDefinition<Options = unknown> {
  readonly name: string;
  readonly options?: z.ZodType<Options>;
  run(context: ScenarioContext<Options>): Promise<ScenarioReport>;
}

/** Types a scenario module's default export; changes nothing. */
export function defineScenario<Options>(
  definition: ScenarioDefinition<Options>,
): ScenarioDefinition<Options> {
  return definition;
}
