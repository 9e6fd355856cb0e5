import {
  createReplaceableDevice,
  VfmigError,
  type Clock,
  type Logger,
  type ReplaceableDevice,
} from "@vfmig/core";
import type { HeldGrant } from "../granting/held-grant.ts";
import type { OpenedDevice } from "../opening/device-opener.ts";
import { descriptionOf } from "./description-of.ts";
import { doorbellsOf } from "./doorbells.ts";
import type { Replaced } from "./protocol.ts";

export interface PlaceOptions {
  readonly first: OpenedDevice;
  /** The configuration's entry of `first`. */
  readonly entry: string;
  /** Opens the device of another entry, with what the host opened for it. */
  readonly open: (entry: string, held: HeldGrant | undefined) => Promise<OpenedDevice>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Where one client finds its device, whichever entry of the configuration it is. */
export class Place {
  /** What the client is served. */
  readonly device: ReplaceableDevice;
  readonly #options: PlaceOptions;
  #opened: OpenedDevice;
  /** What is about to take the place, and has it already while the one before is being closed. */
  #next: OpenedDevice | undefined;
  #entry: string;
  #replacing = false;

  constructor(options: PlaceOptions) {
    const { first, entry, clock, logger } = options;
    this.#options = options;
    this.#opened = first;
    this.#entry = entry;
    this.device = createReplaceableDevice(first.device, { clock, logger });
  }

  get opened(): OpenedDevice {
    const next = this.#next;
    return next !== undefined && next.device === this.device.current ? next : this.#opened;
  }

  /** The configuration's entry whose device is served; undefined while one takes another's place. */
  get entry(): string | undefined {
    return this.#replacing ? undefined : this.#entry;
  }

  /**
   * Opens the device of `entry`, asks it whether it can take what this one uses, and lets it take the place.
   * @throws VfmigError what opening it throws, `ERR_VFMIG_HOST_NO_MIGRATION`, `ERR_VFMIG_HOST_INCOMPATIBLE`,
   * `ERR_VFMIG_REPLACE_*`; the device that is there goes on
   */
  async replace(entry: string, held?: HeldGrant): Promise<Replaced> {
    if (this.#replacing) throw alreadyReplaced(this.#entry);
    this.#replacing = true;
    try {
      return await this.#replace(entry, held);
    } finally {
      this.#replacing = false;
    }
  }

  async #replace(entry: string, held: HeldGrant | undefined): Promise<Replaced> {
    // Whoever cannot be moved is told before anything is opened.
    const source = descriptionOf(this.#opened);
    const next = await this.#options.open(entry, held);
    try {
      const reasons = await descriptionOf(next).compare(await source.describe());
      if (reasons.length > 0) throw incompatible(this.#entry, entry, reasons);
    } catch (error) {
      await next.device[Symbol.asyncDispose]();
      throw error;
    }
    this.#next = next;
    const outcome = await this.device.replace(next.device);
    const before = this.#entry;
    this.#opened = next;
    this.#entry = entry;
    const { info } = next.device;
    this.#options.logger.info(`"${entry}" has taken the place of "${before}".`, { ...outcome });
    const { identity } = info;
    return { entry, identity, mode: next.mode, doorbells: doorbellsOf(info), outcome };
  }
}

function alreadyReplaced(entry: string): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_REPLACE_BUSY",
    `Another device is already taking the place of "${entry}". Ask again when it has.`,
    { layer: "host", details: { entry } },
  );
}

function incompatible(
  source: string,
  target: string,
  reasons: readonly { readonly field: string; readonly reason: string }[],
): VfmigError {
  const list = reasons.map(({ field, reason }) => `${field}: ${reason}`).join("; ");
  return new VfmigError(
    "ERR_VFMIG_HOST_INCOMPATIBLE",
    `"${target}" cannot take what the guest of "${source}" uses: ${list}. Nothing was changed; the guest keeps its device.`,
    { layer: "host", details: { source, target, reasons } },
  );
}
