import type { z } from "zod";
import type { SubDriverContext } from "./context.ts";
import type { DeviceDescription, Incompatibility } from "./description.ts";
import type { SubDriver } from "./facets.ts";

/** Devices that a sub-driver drives; an absent field matches any value. */
export interface DeviceMatch {
  readonly vendor: number;
  readonly device: number;
  readonly subsystemVendor?: number;
  readonly subsystemDevice?: number;
}

/** An access beyond the VF itself, with its reason. */
export interface Privilege {
  readonly kind: string;
  readonly what: string;
  readonly why: string;
}

export interface StateRecordType {
  /** Number on the wire, 16 to 65,535; lower ones are the format's own. */
  readonly id: number;
  /** A reader that does not know a mandatory record refuses the stream. */
  readonly mandatory: boolean;
  readonly schema: z.ZodType;
}

export interface StateFormat {
  /** The version that this plugin writes. */
  readonly version: number;
  /** The versions that it can load; `version` among them. */
  readonly reads: readonly number[];
  /** Record types by name. */
  readonly records: Readonly<Record<string, StateRecordType>>;
}

export interface SubDriverCapabilities {
  /** Absent: the plugin gives no migration. `stop-copy` must be there where any is. */
  readonly migration?: readonly ("stop-copy" | "p2p" | "pre-copy")[];
  /** How device writes are known, for people; absent: the plugin keeps no log. */
  readonly dirtyTracking?: string;
  /** What can be stopped by itself. */
  readonly stop?: "function" | "queue";
}

/** What a vendor package exports; made by {@link defineSubDriver}. */
export interface SubDriverDefinition<Options = unknown> {
  /** 1 to 64 lower-case letters, digits, '.', '_' and '-'. Names that begin with `vfio` are those of bases. */
  readonly name: string;
  readonly version: string;
  /** Range of plugin API versions that it works with, such as `^1.0.0`. */
  readonly apiVersion: string;
  readonly matches: readonly DeviceMatch[];
  readonly privileges: readonly Privilege[];
  readonly capabilities: SubDriverCapabilities;
  readonly state?: StateFormat;
  /** Validates the `options` of the configuration. Absent: no options are accepted. */
  readonly options?: z.ZodType<Options>;
  /** Only of core's transparent sub-driver: whose place it takes. No manifest may say it. */
  readonly standsFor?: { readonly name: string; readonly version: string };
  attach(context: SubDriverContext<Options>): SubDriver | Promise<SubDriver>;
  /** Why `target` cannot take what `source` uses; empty if it can. Pure: no device is needed. */
  compare?(source: DeviceDescription, target: DeviceDescription): readonly Incompatibility[];
}
