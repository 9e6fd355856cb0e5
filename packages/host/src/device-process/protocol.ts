import type {
  BaseGrant,
  DeviceDescription,
  DeviceIdentity,
  DriverMode,
  Incompatibility,
  Interposition,
  ReplacementOutcome,
} from "@vfmig/core";
import type { SentGrant } from "../granting/grant-channel.ts";
import type { Doorbells } from "./doorbells.ts";

/** What the host asks of a device's process; answered in the order of arrival. */
export type HostRequest =
  | { readonly ask: "describe" }
  | { readonly ask: "compare"; readonly source: DeviceDescription }
  | { readonly ask: "status" }
  /** Another entry of the configuration is opened and takes the served device's place. */
  | {
      readonly ask: "replace";
      readonly with: string;
      /** What the host opened for it, and has sent over the channel. */
      readonly grant?: SentGrant | undefined;
    }
  | { readonly ask: "stop" };

/** The answer to each request. */
export interface HostAnswers {
  readonly describe: DeviceDescription;
  readonly compare: readonly Incompatibility[];
  readonly status: Readonly<Record<string, unknown>>;
  readonly replace: Replaced;
  readonly stop: null;
}

/** What took a device's place, and how. */
export interface Replaced {
  readonly entry: string;
  readonly identity: DeviceIdentity;
  readonly mode: DriverMode;
  readonly doorbells: Doorbells;
  readonly outcome: ReplacementOutcome;
}

export type HostMessage = HostRequest & { readonly id: number };

/** An error as it crosses between processes. */
export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly layer?: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

export type LogLevel = "debug" | "info" | "warn" | "error";

/** What a device's process says to the host. */
export type DeviceMessage =
  | {
      readonly say: "ready";
      readonly identity: DeviceIdentity;
      readonly socketPath: string;
      readonly mode: DriverMode;
      readonly doorbells: Doorbells;
    }
  | { readonly say: "failed"; readonly error: WireError }
  /** What is begun on the way to a served device. */
  | { readonly say: "step"; readonly step: string }
  /** The machine wanted the device back, and it is closed. */
  | { readonly say: "returned" }
  | { readonly say: "answer"; readonly id: number; readonly value: unknown }
  | { readonly say: "refusal"; readonly id: number; readonly error: WireError }
  | {
      readonly say: "log";
      readonly level: LogLevel;
      readonly message: string;
      readonly details?: Readonly<Record<string, unknown>>;
    };

/** How a device's process is started; passed as one JSON argument. */
export interface DeviceStart {
  readonly configFile: string;
  readonly device: string;
  readonly runtimeFolder: string;
  /** How the driver runs, whatever the configuration says. */
  readonly mode?: DriverMode;
  /** File for a recording of what passes between this device and its user. */
  readonly recordFile?: string;
  /** The device is not served: a recording is replayed against it, and recorded into `output`. */
  readonly replay?: { readonly file: string; readonly output: string };
  /** What a transparent driver passes through. */
  readonly interposed?: Interposition;
  /** File for the message trace of this device. */
  readonly traceFile?: string;
  /** Options of the driver that are taken in place of the configuration's. */
  readonly driverOptions?: Readonly<Record<string, unknown>>;
  /** The same for the base. */
  readonly baseOptions?: Readonly<Record<string, unknown>>;
  /** What the host opened for the base, with the numbers that the process itself has for it. */
  readonly grant?: Pick<BaseGrant, "fds" | "facts">;
  /** Descriptor by which descriptors of further devices come. */
  readonly grantChannel?: number;
}
