import type { Qemu } from "../fetch/qemu.ts";
import type { Evidence } from "../run/recorder.ts";
import type { Model } from "../serve/configurations.ts";
import type { Served, ServedDevice } from "../serve/served.ts";
import { Rig, type RigOptions } from "./rig.ts";

/** What a case has at hand. */
export interface QtestContext {
  readonly qemu: Qemu;
  readonly model: Model;
  readonly evidence: Evidence;
  /** Two served devices, `a` and `b`, which serve one case after the other. */
  readonly served: Served;
  readonly a: ServedDevice;
  readonly b: ServedDevice;
  /** Serves devices for this case alone, which may thus break them. */
  serveAlone(): Promise<Served>;
}

/** A case against QEMU as a scripted client; its name is a sentence. */
export interface QtestCase {
  readonly name: string;
  readonly run: (context: QtestContext) => Promise<void>;
}

/** QEMU with device `a`. */
export function rigOf(context: QtestContext, options: RigOptions = {}): Promise<Rig> {
  return Rig.start(context.qemu, [context.a], context.evidence, options);
}
