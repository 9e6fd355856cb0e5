import type { Kernel } from "../fetch/kernel.ts";
import type { Guest } from "./guest.ts";
import type { Model } from "../serve/configurations.ts";

/** What a case has at hand. All cases of a kernel and a model run in one guest, one after the other. */
export interface GuestContext {
  readonly guest: Guest;
  readonly kernel: Kernel;
  readonly model: Model;
  /** The VF's MAC address in the configuration. */
  readonly mac: string;
}

export interface GuestCase {
  readonly name: string;
  /** Without it no later case makes sense. */
  readonly vital?: boolean;
  readonly run: (context: GuestContext) => Promise<void>;
}
