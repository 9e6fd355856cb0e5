import {
  compose,
  createPluginRegistry,
  packageIntegrity,
  validateManifest,
  verifyIntegrity,
  VfmigError,
  type BaseDefinition,
  type Clock,
  type ComposedDevice,
  type DeviceConfig,
  type DriverReference,
  type Logger,
  type SubDriverDefinition,
  type VfioDevice,
} from "@vfmig/core";
import type { NativeIo } from "@vfmig/linux";
import { inject, injectable } from "tsyringe";
import { ModuleLoader } from "./module-loader.ts";
import { parseOptions } from "./options.ts";
import { allocateShared } from "./shared-memory.ts";
import { TOKENS } from "./tokens.ts";

/** A device that is open; `composed` where a driver was named. */
export interface OpenedDevice {
  readonly device: VfioDevice;
  readonly composed: ComposedDevice | undefined;
}

interface LoadedDriver {
  readonly definition: SubDriverDefinition;
  readonly integrity: string;
  readonly options: unknown;
}

/** Opens the device of one configuration entry: base, then driver, each only if and as it is named. */
@injectable()
export class DeviceOpener {
  readonly #loader: ModuleLoader;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #io: NativeIo;

  constructor(
    @inject(ModuleLoader) loader: ModuleLoader,
    @inject(TOKENS.clock) clock: Clock,
    @inject(TOKENS.logger) logger: Logger,
    @inject(TOKENS.io) io: NativeIo,
  ) {
    this.#loader = loader;
    this.#clock = clock;
    this.#logger = logger;
    this.#io = io;
  }

  /**
   * @param entry the device's entry, `where` its path in the configuration, such as `devices[0]`
   * @throws VfmigError of configuration, integrity, manifest, match, or of the base and the driver themselves
   */
  async open(
    entry: DeviceConfig,
    where: string,
    folders: { readonly folder: string; readonly runtimeFolder: string },
  ): Promise<OpenedDevice> {
    // The driver's bytes and manifest are judged before the base touches any hardware.
    const driver =
      entry.driver === undefined ? undefined : await this.#loadDriver(entry.driver, folders.folder);
    const base = await this.#openBase(entry, where, folders);
    if (driver === undefined) return { device: base, composed: undefined };
    try {
      const composed = await this.#compose(base, driver);
      return { device: composed, composed };
    } catch (error) {
      await base[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #openBase(
    entry: DeviceConfig,
    where: string,
    folders: { readonly folder: string; readonly runtimeFolder: string },
  ): Promise<VfioDevice> {
    const { value } = await this.#loader.load(entry.base.package, folders.folder);
    if (!isBase(value)) {
      throw new VfmigError(
        "ERR_VFMIG_HOST_MODULE",
        `${where}.base.package: "${entry.base.package}" exports no base (a name, a version and open()). A plugin belongs under "driver".`,
        { layer: "host", details: { where, package: entry.base.package } },
      );
    }
    const options = parseOptions(
      value.options,
      entry.base.options,
      `${where}.base.options`,
      entry.base.package,
    );
    return value.open({
      device: entry.name,
      options,
      logger: this.#logger,
      clock: this.#clock,
      ...folders,
    });
  }

  async #loadDriver(reference: DriverReference, folder: string): Promise<LoadedDriver> {
    let integrity = "";
    const { value } = await this.#loader.load(reference.package, folder, async (resolved) => {
      if (reference.integrity !== undefined) {
        await verifyIntegrity(resolved, reference.integrity);
        integrity = reference.integrity;
      } else {
        integrity = await packageIntegrity(resolved.root);
      }
    });
    const registry = createPluginRegistry();
    const definition = validateManifest(value);
    registry.register(definition);
    return { definition, integrity, options: reference.options };
  }

  #compose(base: VfioDevice, driver: LoadedDriver): Promise<ComposedDevice> {
    return compose(base, driver.definition, {
      options: driver.options,
      integrity: driver.integrity,
      clock: this.#clock,
      logger: this.#logger,
      allocateMemory: (bytes) => allocateShared(this.#io, bytes),
    });
  }
}

function isBase(value: unknown): value is BaseDefinition {
  return (
    typeof value === "object" &&
    value !== null &&
    "open" in value &&
    typeof value.open === "function" &&
    "name" in value &&
    typeof value.name === "string" &&
    !("attach" in value)
  );
}
