import type { z } from "zod";
import type { Clock } from "../clock.ts";
import type { VfioDevice } from "../device/vfio-device.ts";
import type { Logger } from "../logger.ts";

export interface BaseContext<Options = unknown> {
  /** The device's name in the configuration. */
  readonly device: string;
  readonly options: Options;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Folder of the configuration, against which relative paths in options are resolved. */
  readonly folder: string;
  /** Folder for this run's sockets; it exists, and is removed with the run. */
  readonly runtimeFolder: string;
}

/** What a base package exports: how to open the device beneath a sub-driver. */
export interface BaseDefinition<Options = unknown> {
  /** Name under which a device without sub-driver is reported, such as `vfio-pci` or `model`. */
  readonly name: string;
  readonly version: string;
  readonly options?: z.ZodType<Options>;
  open(context: BaseContext<Options>): Promise<VfioDevice>;
}

/** Types a base module's default export; changes nothing. */
export function defineBase<Options>(definition: BaseDefinition<Options>): BaseDefinition<Options> {
  return definition;
}
