import { z } from "zod";

/**
 * Where a model's frames go, as a configuration says it. Relative paths are resolved against the
 * configuration's folder; a socket's path has at most 107 bytes.
 */
export type DeviceWireOptions =
  /** The scenario's wire connects to `<device>.wire` in the run's folder. */
  | { readonly kind: "scenario" }
  /** Nowhere: a cable that is plugged in at one end. */
  | { readonly kind: "none" }
  /** One unix datagram for each frame, as QEMU's `-netdev dgram` speaks. */
  | {
      readonly kind: "dgram";
      /** This end's socket. */
      readonly local: string;
      /** The other end's; it may come and go. */
      readonly remote: string;
    }
  /** The host's network interface of that name, made where there is none. */
  | { readonly kind: "tap"; readonly name: string }
  /** The frames of a capture arrive. */
  | {
      readonly kind: "pcap";
      readonly file: string;
      /** Begins anew after the last frame; default false. */
      readonly loop?: boolean | undefined;
      /** Frames a second, above 0, at most 10 million; default: the capture's own times. */
      readonly rate?: number | undefined;
      /** Where what the device sends is written, as pcap. */
      readonly record?: string | undefined;
    }
  /** A switch, which `vfmig-switch PATH` runs. */
  | { readonly kind: "switch"; readonly path: string };

const path = z.string().min(1);

/** Checks a {@link DeviceWireOptions}. */
export const deviceWireOptions: z.ZodType<DeviceWireOptions> = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("scenario") }),
  z.strictObject({ kind: z.literal("none") }),
  z.strictObject({ kind: z.literal("dgram"), local: path, remote: path }),
  z.strictObject({ kind: z.literal("tap"), name: z.string().min(1).max(15) }),
  z.strictObject({
    kind: z.literal("pcap"),
    file: path,
    loop: z.boolean().optional(),
    rate: z.number().gt(0).max(1e7).optional(),
    record: path.optional(),
  }),
  z.strictObject({ kind: z.literal("switch"), path }),
]);

/** A model's options with where its frames go. */
export type WithWire<Options> = Options & {
  /** Default: the scenario's wire. */
  readonly wire: DeviceWireOptions;
};

/** The same before the defaults were filled in. */
export type WithWireInput<Input> = Input & { readonly wire?: DeviceWireOptions | undefined };

/** Adds `wire` to the options of a model, which need not know of it: for the model's base. */
export function withWire<Options extends object, Input extends object>(
  options: z.ZodType<Options, Input>,
): z.ZodType<WithWire<Options>, WithWireInput<Input>> {
  const split = z
    .looseObject({ wire: deviceWireOptions.default({ kind: "scenario" }) })
    .transform(({ wire, ...rest }, context): WithWire<Options> => {
      const parsed = options.safeParse(rest);
      if (parsed.success) return { ...parsed.data, wire };
      // An issue that was found is one that can be told again, with the input that it was found in.
      for (const issue of parsed.error.issues) {
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion
        context.issues.push({ ...issue, input: rest } as z.core.$ZodRawIssue);
      }
      return z.NEVER;
    });
  // What `options` takes besides the wire is unknown to `split`, and checked by it all the same.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return split as unknown as z.ZodType<WithWire<Options>, WithWireInput<Input>>;
}
