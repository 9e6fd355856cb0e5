import type { VfResources } from "@vfmig/iavf";
import type { GuestDriverOptions, GuestReply, VirtchnlGuestDriver } from "../guest/options.ts";
import { SlotDriver } from "../guest/slot-driver.ts";
import { IavfLife } from "./vf-life.ts";

/**
 * A guest whose driver does what Linux iavf does with its VF: the same registers in the same order,
 * the same requests, the same rings. It knows nothing of migration.
 * @throws VfmigError `ERR_VFMIG_GUEST_USE` for options out of range, `ERR_VFMIG_GUEST_MEMORY`
 *
 * @example
 * const ram = new GuestRam({ bytes: new Uint8Array(32 << 20), iova: 0n });
 * const driver = createGuestDriver({
 *   device, ram, clock: systemClock, createEvent: directEvent,
 *   onFrame: (frame) => console.log(frame.length), onFault: (fault) => console.error(fault.message),
 * });
 * await driver.start();
 */
export function createGuestDriver(options: GuestDriverOptions): VirtchnlGuestDriver {
  return new IavfDriver(options, (...place) => new IavfLife(...place));
}

class IavfDriver extends SlotDriver<IavfLife> implements VirtchnlGuestDriver {
  get linkSpeed(): number {
    return this.life.linkSpeed;
  }

  get resources(): VfResources | undefined {
    return this.life.resources;
  }

  async ask(operation: number, body: (vsiId: number) => Uint8Array): Promise<GuestReply> {
    return await this.life.ask(operation, body);
  }
}
