import satisfies from "semver/functions/satisfies.js";
import { deepFreeze } from "../config/deep-freeze.ts";
import type { DriverIdentity, PciIdentity } from "../device/info.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import type { SubDriverDefinition } from "../sub-driver/definition.ts";
import { checkCapabilities } from "./check-facets.ts";
import { PLUGIN_API_VERSION } from "./define-sub-driver.ts";
import { validateManifest } from "./manifest.ts";
import { checkDevice } from "./matches-device.ts";

/** Where a sub-driver came from, for messages and reports. */
export interface PluginOrigin {
  /** Specifier of the configuration. */
  readonly package: string;
  /** `sha512-...` over the package's files, where it was computed. */
  readonly integrity?: string | undefined;
}

export interface RegisteredPlugin {
  readonly definition: SubDriverDefinition;
  readonly origin: PluginOrigin;
  /** What every surface shows of it. */
  readonly identity: DriverIdentity;
  /** Names of the devices that run with it now. */
  readonly openDevices: readonly string[];
}

/** One device's use of a sub-driver. Released once; more releases do nothing. */
export interface PluginLease extends Disposable {
  readonly definition: SubDriverDefinition;
  readonly identity: DriverIdentity;
  release(): void;
}

/** The device that is about to run with a sub-driver. */
export interface PluginUse {
  /** Its name in the configuration. */
  readonly device: string;
  /** Undefined where its base has no PCI identity; then no sub-driver matches. */
  readonly pci: PciIdentity | undefined;
}

/** The sub-drivers of one process. Nothing gets in but by {@link PluginRegistry.register}. */
export interface PluginRegistry {
  /**
   * Checks what a package exports as default, freezes it, and takes it up under its name.
   * @throws VfmigError `ERR_VFMIG_PLUGIN_MANIFEST`, `ERR_VFMIG_PLUGIN_API_VERSION`,
   * `ERR_VFMIG_PLUGIN_DUPLICATE`, `ERR_VFMIG_PLUGIN_FACET_MISSING`,
   * `ERR_VFMIG_PLUGIN_CAPABILITY_UNDECLARED`
   */
  register(value: unknown, origin: PluginOrigin): RegisteredPlugin;
  /** @throws VfmigError `ERR_VFMIG_PLUGIN_UNKNOWN` */
  get(name: string): RegisteredPlugin;
  /** In the order of registration. */
  list(): readonly RegisteredPlugin[];
  /**
   * Counts a device as running with a sub-driver until the lease is released.
   * @throws VfmigError `ERR_VFMIG_PLUGIN_UNKNOWN`, `ERR_VFMIG_PLUGIN_DEVICE_MISMATCH`
   */
  acquire(name: string, use: PluginUse): PluginLease;
  /** @throws VfmigError `ERR_VFMIG_PLUGIN_UNKNOWN`, `ERR_VFMIG_PLUGIN_IN_USE` */
  unregister(name: string): void;
}

/** One line for each privilege: kind, what, and why; empty for a plugin that needs none. */
export function describePrivileges(definition: SubDriverDefinition): readonly string[] {
  return definition.privileges.map(({ kind, what, why }) => `${kind}: ${what} (${why})`);
}

function checkApiVersion(definition: SubDriverDefinition, offered: string, from: string): void {
  const { name, version, apiVersion } = definition;
  // A prerelease of the API satisfies the ranges that it is a step towards.
  if (satisfies(offered, apiVersion, { includePrerelease: true })) return;
  throw new VfmigError(
    "ERR_VFMIG_PLUGIN_API_VERSION",
    `sub-driver "${name}" ${version} of ${from} works with plugin API ${apiVersion}, this is ${offered}; ` +
      "install a version of the plugin for this API",
    { layer: `plugin:${name}`, details: { wanted: apiVersion, offered, package: from } },
  );
}

interface Entry {
  readonly definition: SubDriverDefinition;
  readonly origin: PluginOrigin;
  readonly identity: DriverIdentity;
  readonly uses: Set<PluginUse>;
}

class Registry implements PluginRegistry {
  readonly #entries = new Map<string, Entry>();
  readonly #apiVersion: string;

  constructor(apiVersion: string) {
    this.#apiVersion = apiVersion;
  }

  register(value: unknown, origin: PluginOrigin): RegisteredPlugin {
    const definition = deepFreeze(validateManifest(value));
    const { name, version } = definition;
    checkApiVersion(definition, this.#apiVersion, origin.package);
    checkCapabilities(definition);
    const earlier = this.#entries.get(name);
    if (earlier !== undefined) throw duplicate(earlier, definition, origin);
    const privileges = describePrivileges(definition);
    const identity: DriverIdentity = { name, version, integrity: origin.integrity, privileges };
    const entry: Entry = { definition, origin, identity, uses: new Set() };
    this.#entries.set(name, entry);
    return snapshot(entry);
  }

  get(name: string): RegisteredPlugin {
    return snapshot(this.#find(name));
  }

  list(): readonly RegisteredPlugin[] {
    return [...this.#entries.values()].map(snapshot);
  }

  acquire(name: string, use: PluginUse): PluginLease {
    const { definition, identity, uses } = this.#find(name);
    checkDevice(definition, use.device, use.pci);
    // Its own object, so that two devices of one name would count twice.
    const own: PluginUse = { ...use };
    uses.add(own);
    const release = (): void => void uses.delete(own);
    return { definition, identity, release, [Symbol.dispose]: release };
  }

  unregister(name: string): void {
    const { uses } = this.#find(name);
    if (uses.size > 0) {
      const devices = [...uses].map((use) => use.device);
      throw new VfmigError(
        "ERR_VFMIG_PLUGIN_IN_USE",
        `sub-driver "${name}" runs ${devices.join(", ")}; close ${devices.length === 1 ? "it" : "them"} first`,
        { layer: "core", details: { name, devices } },
      );
    }
    this.#entries.delete(name);
  }

  #find(name: string): Entry {
    const entry = this.#entries.get(name);
    if (entry !== undefined) return entry;
    const known = [...this.#entries.keys()];
    throw new VfmigError(
      "ERR_VFMIG_PLUGIN_UNKNOWN",
      `no sub-driver "${name}" is registered; registered: ${known.length === 0 ? "none" : known.join(", ")}`,
      { layer: "core", details: { name, known } },
    );
  }
}

function duplicate(
  earlier: Entry,
  definition: SubDriverDefinition,
  origin: PluginOrigin,
): VfmigError {
  const { name, version } = definition;
  return new VfmigError(
    "ERR_VFMIG_PLUGIN_DUPLICATE",
    `${origin.package} brings sub-driver "${name}" ${version}, but ${earlier.origin.package} has ` +
      `registered ${earlier.definition.version} under that name; name one package for all devices`,
    { layer: "core", details: { name, packages: [earlier.origin.package, origin.package] } },
  );
}

function snapshot({ definition, origin, identity, uses }: Entry): RegisteredPlugin {
  return { definition, origin, identity, openDevices: [...uses].map((use) => use.device) };
}

/**
 * An empty registry. Every process, and every test, makes its own.
 * @param apiVersion The plugin API that is offered; default {@link PLUGIN_API_VERSION}.
 */
export function createPluginRegistry(apiVersion: string = PLUGIN_API_VERSION): PluginRegistry {
  return new Registry(apiVersion);
}
