import {
  compose,
  createPluginRegistry,
  parseOptions,
  transparentSubDriver,
  VfmigError,
  type Clock,
  type ComposedDevice,
  type DeviceConfig,
  type DriverMode,
  type BaseContext,
  type BaseDefinition,
  type DriverReference,
  type Interposition,
  type Logger,
  type VfioDevice,
} from "@vfmig/core";
import type { NativeIo } from "@vfmig/linux";
import { inject, injectable } from "tsyringe";
import type { HeldGrant } from "../granting/held-grant.ts";
import { importBase } from "./import-base.ts";
import { importDriver } from "./import-driver.ts";
import { createIrqEvent } from "./irq-event.ts";
import { allocateShared } from "./shared-memory.ts";
import { TOKENS } from "./tokens.ts";

/** A device that is open; `composed` where a driver was named. */
export interface OpenedDevice {
  readonly device: VfioDevice;
  readonly composed: ComposedDevice | undefined;
  /** How it runs; `base` also where no driver is named. */
  readonly mode: DriverMode;
  /** The driver that was asked for, also where it does not run. */
  readonly configured?: DriverReference | undefined;
}

interface Folders {
  /** Of the configuration. */
  readonly folder: string;
  readonly runtimeFolder: string;
  /** What a transparent driver passes through; default: everything. */
  readonly interposed?: Interposition | undefined;
  /** What the host opened for the base, which takes it over as the last thing before it is opened. */
  readonly held?: HeldGrant | undefined;
  /** Told when the machine wants the device back. */
  readonly onHostRequest?: ((count: number) => void) | undefined;
  /** Told what is begun, such as `importing the base "x"`: whoever waits in vain can say for what. */
  readonly onStep?: ((step: string) => void) | undefined;
}

/** Opens the device of one configuration entry: base, then driver, each only if and as it is named. */
@injectable()
export class DeviceOpener {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #io: NativeIo;

  constructor(
    @inject(TOKENS.clock) clock: Clock,
    @inject(TOKENS.logger) logger: Logger,
    @inject(TOKENS.io) io: NativeIo,
  ) {
    this.#clock = clock;
    this.#logger = logger;
    this.#io = io;
  }

  /**
   * @param entry the device's entry, `where` its path in the configuration, such as `devices[0]`
   * @throws VfmigError of configuration, integrity, manifest, match, or of the base and the driver themselves
   */
  async open(entry: DeviceConfig, where: string, folders: Folders): Promise<OpenedDevice> {
    const mode = entry.driver?.mode ?? "active";
    const { folder, onStep = () => {} } = folders;
    const registry = createPluginRegistry();
    // The driver's bytes and manifest are judged before the base touches any hardware.
    if (entry.driver !== undefined && mode !== "base") {
      onStep(`importing the driver "${entry.driver.package}"`);
    }
    const plugin =
      entry.driver === undefined || mode === "base"
        ? undefined
        : await importDriver(registry, entry.driver, where, folder);
    const base = await this.#openBase(entry, where, folders);
    const configured = entry.driver;
    if (plugin === undefined)
      return { device: base, composed: undefined, mode: "base", configured };
    try {
      const { device, pci } = base.info.identity;
      const { definition, identity } = registry.acquire(plugin.definition.name, { device, pci });
      const options = parseOptions(definition, entry.driver?.options, `${where}.driver.options`);
      const transparent = mode === "transparent";
      const running = transparent
        ? transparentSubDriver(definition, folders.interposed)
        : definition;
      onStep(`starting the driver "${configured?.package ?? definition.name}"`);
      const composed = await compose(base, running, {
        options: transparent ? undefined : options,
        integrity: transparent ? undefined : identity.integrity,
        clock: this.#clock,
        logger: this.#logger,
        allocateMemory: (bytes) => allocateShared(this.#io, bytes),
        createIrqEvent: (onSignal) => createIrqEvent(this.#io, onSignal),
        dirtySources: entry.dirtySources,
      });
      return { device: composed, composed, mode, configured };
    } catch (error) {
      await base[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #openBase(entry: DeviceConfig, where: string, folders: Folders): Promise<VfioDevice> {
    const { folder, runtimeFolder, held, onHostRequest, onStep = () => {} } = folders;
    const name = entry.base.package;
    onStep(`importing the base "${name}"`);
    const value = await importBase(name, where, folder);
    const options = parseOptions(value, entry.base.options, `${where}.base.options`);
    onStep(`opening the base "${name}"`);
    return openBase(value, name, {
      device: entry.name,
      options,
      logger: this.#logger,
      clock: this.#clock,
      folder,
      runtimeFolder,
      onHostRequest,
      grant: held?.take(),
    });
  }
}

/** Whatever a base throws or gives, its name is told with it. */
async function openBase(
  base: BaseDefinition,
  name: string,
  context: BaseContext,
): Promise<VfioDevice> {
  const failed = (why: string, cause?: unknown): VfmigError =>
    new VfmigError(
      "ERR_VFMIG_HOST_BASE",
      `The base "${name}" (${base.name}) did not open device "${context.device}": ${why}. Report it to the maker of the base.`,
      { layer: "base", details: { device: context.device, package: name }, cause },
    );
  let device: unknown;
  try {
    device = await base.open(context);
  } catch (error) {
    if (VfmigError.is(error)) throw error;
    throw failed(error instanceof Error ? error.message : String(error), error);
  }
  if (isDevice(device)) return device;
  throw failed("what its open() gave is no device");
}

/** The least by which a device is known; what it does is judged when it is used. */
function isDevice(value: unknown): value is VfioDevice {
  if (typeof value !== "object" || value === null || !("info" in value)) return false;
  const { info } = value;
  return typeof info === "object" && info !== null && "identity" in info && "regions" in info;
}
