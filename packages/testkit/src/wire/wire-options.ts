import { z } from "zod";

/** Where a model's frames go, as a configuration says it. Relative paths are the configuration's. */
export type DeviceWireOptionsInput =
  /** The scenario's wire connects to `<device>.wire` in the run's folder. */
  | { readonly kind: "scenario" }
  /** Nowhere: a cable that is plugged in at one end. */
  | { readonly kind: "none" }
  /** One unix datagram for each frame, as QEMU's `-netdev dgram` speaks. */
  | { readonly kind: "dgram"; readonly local: string; readonly remote: string };

export type DeviceWireOptions = DeviceWireOptionsInput;

const path = z.string().min(1);

/** Checks a {@link DeviceWireOptions}. */
export const deviceWireOptions: z.ZodType<DeviceWireOptions, DeviceWireOptionsInput> =
  z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("scenario") }),
    z.strictObject({ kind: z.literal("none") }),
    z.strictObject({ kind: z.literal("dgram"), local: path, remote: path }),
  ]);
