import type { IrqEvent } from "@vfmig/core";
import { baseFault } from "../kernel-calls.ts";
import { FEATURE } from "../uapi/commands.ts";
import { FEATURE_HEAD } from "../uapi/feature.ts";
import type { Features } from "./features.ts";

/** Runtime power of the device, for a guest that puts it into D3. */
export interface LowPower {
  /**
   * Lets the device sleep until it is accessed, or until {@link LowPower.exit}. With `wakeup` it stays
   * awake after it woke, and the event tells of it.
   */
  enter(wakeup?: IrqEvent): void;
  exit(): void;
}

/** Undefined where the kernel cannot (before 6.1, or another driver). */
export function createLowPower(features: Features): LowPower | undefined {
  if (!features.has(FEATURE.LOW_POWER_ENTRY, "set")) return undefined;
  return {
    enter(wakeup) {
      if (wakeup === undefined) {
        features.run(features.request(FEATURE.LOW_POWER_ENTRY, "set", 0));
        return;
      }
      if (wakeup.fd === undefined) {
        throw baseFault(
          "ERR_VFMIG_IRQ_REQUEST",
          "Cannot wake by an event that is no eventfd: the kernel signals nothing else. The device stays awake.",
          { errno: "EINVAL" },
        );
      }
      const request = features.request(FEATURE.LOW_POWER_ENTRY_WITH_WAKEUP, "set", 8);
      request.view.setInt32(FEATURE_HEAD.DATA, wakeup.fd, true);
      features.run(request);
    },
    exit: () => void features.run(features.request(FEATURE.LOW_POWER_EXIT, "set", 0)),
  };
}
