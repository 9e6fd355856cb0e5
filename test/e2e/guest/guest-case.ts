import type { Kernel } from "../fetch/kernel.ts";
import type { Figures } from "../run/recorder.ts";
import type { Model } from "../serve/configurations.ts";
import type { Served } from "../serve/served.ts";
import type { Guest } from "./guest.ts";
import type { Held } from "./hot-plug/held.ts";

/** What a case has at hand. All cases of a kernel and a model run in one guest, one after the other. */
export interface GuestContext {
  readonly guest: Guest;
  readonly kernel: Kernel;
  readonly model: Model;
  /** The VF's MAC address in the configuration. */
  readonly mac: string;
  readonly served: Served;
  /** What the processes of `served` held before a client came, in the order of their ids. */
  readonly idle: readonly Held[];
  /** QEMU's words for the VF, with which it can be plugged in again. */
  readonly vf: Readonly<Record<string, unknown>>;
  /** Starts another such guest, for when the first has ended. */
  readonly start: (vf: "plugged" | "unplugged") => Promise<Guest>;
}

export interface GuestCase {
  readonly name: string;
  /** Without it no later case makes sense. */
  readonly vital?: boolean;
  /** Boots that run it; default all. */
  readonly on?: (boot: Pick<GuestContext, "kernel" | "model">) => boolean;
  /** May return what it measured. */
  readonly run: (context: GuestContext) => Promise<Figures | void>;
}
