import type { DriverMode } from "../record/driver-mode.ts";
import type { DirtySource } from "../dirty/sources.ts";

/** A package of the configuration: its name with an optional export subpath, and what it is told. */
export interface PackageReference {
  /**
   * Such as `@vfmig/plugin-i40e` or `@vfmig/testkit/i40e-vf-model`, resolved from the configuration's
   * folder. Relative paths and URLs are not taken.
   */
  readonly package: string;
  /** Validated by the package's own schema. */
  readonly options?: Readonly<Record<string, unknown>> | undefined;
}

/** The vendor module of a device. */
export interface DriverReference extends PackageReference {
  /**
   * How it runs; default `active`. `transparent`: core's pass-through in its place; `base`: not at all, nor
   * is it imported. Both are for finding out whose a fault is: such a device cannot be moved.
   */
  readonly mode?: DriverMode | undefined;
  /** `sha512-...` as {@link packageIntegrity} gives it; checked before anything of the package runs. */
  readonly integrity?: string | undefined;
}

export interface DeviceConfig {
  /** Unique in the configuration; 1 to 64 letters, digits, `.`, `_` or `-`. */
  readonly name: string;
  /** What opens the device. */
  readonly base: PackageReference;
  /** Absent: the device runs on its base alone, under the base's name. */
  readonly driver?: DriverReference | undefined;
  /**
   * Whom dirty pages are asked of, if not only the driver; a page is dirty where any of them says so.
   * Needs a driver.
   */
  readonly dirtySources?: readonly DirtySource[] | undefined;
  /** Where the device listens for its VMM; a relative path counts from the configuration's folder. */
  readonly socket?: string | undefined;
  /** Not served: opened only to take the place of a device that is (`vfmig replace`). Default false. */
  readonly standby?: boolean | undefined;
}

/** What `vfmig.config.ts` exports. */
export interface VfmigConfig {
  /** For editors that read JSON Schemas; without meaning to vfmig. */
  readonly $schema?: string | undefined;
  readonly devices: readonly DeviceConfig[];
  /** What `vfmig demo` runs. */
  readonly scenario?: PackageReference | undefined;
}

/**
 * Types a configuration; changes nothing.
 *
 * @example
 * ```ts
 * import { defineConfig } from "@vfmig/core";
 *
 * export default defineConfig({
 *   devices: [
 *     {
 *       name: "vf0",
 *       base: { package: "@vfmig/vfio-pci-base", options: { address: "0000:3b:02.0" } },
 *       driver: { package: "@vfmig/plugin-i40e" },
 *     },
 *   ],
 * });
 * ```
 */
export function defineConfig(config: VfmigConfig): VfmigConfig {
  return config;
}
