import {
  compose,
  createPluginRegistry,
  importPackage,
  parseOptions,
  resolvePackage,
  transparentSubDriver,
  type Clock,
  type ComposedDevice,
  type DeviceConfig,
  type DriverMode,
  type DriverReference,
  type Interposition,
  type Logger,
  type PluginRegistry,
  type RegisteredPlugin,
  type VfioDevice,
} from "@vfmig/core";
import type { NativeIo } from "@vfmig/linux";
import { inject, injectable } from "tsyringe";
import type { HeldGrant } from "../granting/held-grant.ts";
import { importBase } from "./import-base.ts";
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
    const registry = createPluginRegistry();
    // The driver's bytes and manifest are judged before the base touches any hardware.
    const plugin =
      entry.driver === undefined || mode === "base"
        ? undefined
        : await register(registry, entry.driver, folders.folder);
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
    const value = await importBase(entry.base.package, where, folders.folder);
    const { folder, runtimeFolder, held, onHostRequest } = folders;
    return value.open({
      device: entry.name,
      options: parseOptions(value, entry.base.options, `${where}.base.options`),
      logger: this.#logger,
      clock: this.#clock,
      folder,
      runtimeFolder,
      onHostRequest,
      grant: held?.take(),
    });
  }
}

/** Takes up the driver that the configuration names, once its bytes are those that it pins. */
async function register(
  registry: PluginRegistry,
  reference: DriverReference,
  folder: string,
): Promise<RegisteredPlugin> {
  const resolved = await resolvePackage(reference.package, folder);
  const { value, integrity } = await importPackage(resolved, reference.integrity);
  return registry.register(value, { package: reference.package, integrity });
}
