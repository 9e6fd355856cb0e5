import type { Clock, Logger } from "@vfmig/core";
import type { NativeIo } from "@vfmig/linux";
import type { InjectionToken } from "tsyringe";

/** What the composition root registers; the host's classes ask for these by name. */
export const TOKENS: {
  readonly clock: InjectionToken<Clock>;
  readonly logger: InjectionToken<Logger>;
  readonly io: InjectionToken<NativeIo>;
} = {
  clock: Symbol.for("vfmig.clock"),
  logger: Symbol.for("vfmig.logger"),
  io: Symbol.for("vfmig.io"),
};
