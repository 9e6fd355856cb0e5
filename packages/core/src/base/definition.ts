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
  /** What {@link BaseDefinition.acquire} gave; absent where nobody called it. */
  readonly grant?: BaseGrant | undefined;
  /**
   * Called when this machine wants the device back, since it is to be unplugged or unbound; `count` rises
   * with urgency. Who hears it closes the device as soon as its user lets go. A base that cannot know calls
   * it never.
   */
  readonly onHostRequest?: ((count: number) => void) | undefined;
}

/** Where the privileged half of a base runs: in the host, which opens files and runs nothing else of it. */
export type BaseAcquireContext<Options = unknown> = Omit<
  BaseContext<Options>,
  "grant" | "onHostRequest"
>;

/** What the privileged half of a base opened for the other one. */
export interface BaseGrant {
  /** Descriptors by name, such as `device`; whoever opens the base with them closes them. */
  readonly fds: Readonly<Record<string, number>>;
  /** What the other half must know and cannot find out for itself; plain JSON. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** Bytes of memory that the device's process has to be allowed to lock; absent: none. */
  readonly memoryLock?: bigint | undefined;
}

/** What a base package exports: how to open the device beneath a sub-driver. */
export interface BaseDefinition<Options = unknown> {
  /** Name under which a device without sub-driver is reported, such as `vfio-pci` or `model`. */
  readonly name: string;
  readonly version: string;
  readonly options?: z.ZodType<Options>;
  /**
   * The privileged half: opens what the device's own process may not. Runs in the host, before that
   * process starts, or before it opens a device that takes another's place. Where it throws, nothing is
   * left open.
   */
  acquire?(context: BaseAcquireContext<Options>): Promise<BaseGrant>;
  /** Takes the descriptors of `context.grant` over, and closes them also where it throws. */
  open(context: BaseContext<Options>): Promise<VfioDevice>;
}

/** Types a base module's default export; changes nothing. */
export function defineBase<Options>(definition: BaseDefinition<Options>): BaseDefinition<Options> {
  return definition;
}
