import { z } from "zod";
import {
  deviceWireOptions,
  type DeviceWireOptions,
  type DeviceWireOptionsInput,
} from "../../wire/wire-options.ts";

/** What differs between two VFs of one kind; the same names in a configuration and in code. */
export interface I40eVfOptions {
  /** The VF's MAC address, such as `02:00:00:00:00:0a`; all zeros lets the guest choose. */
  readonly mac: string;
  /**
   * The host set that MAC, so the guest may not add other unicast addresses. Default true; a MAC of
   * zeros was not set by anyone.
   */
  readonly adminMac: boolean;
  /** A number that differs from host to host, 1 to 1023. */
  readonly vsiId: number;
  /** 1 to 16, default 4. */
  readonly queuePairs: number;
  /** Pairs that REQUEST_QUEUES may get, 1 to 16, default 16. */
  readonly maxQueuePairs: number;
  /** MSI-X vectors, the mailbox's included: 2 to 17, default 5. */
  readonly vectors: number;
  /** Milliseconds between a request and the PF's acting upon it; default 0: the next turn. */
  readonly pfReplyDelayMs: number;
  /** Milliseconds for which RSTAT tells "in progress" in a reset; default 20. */
  readonly resetMs: number;
  /** Capability bits that this PF gives at most, of those that an i40e gives; default all. */
  readonly grantedCaps?: number | undefined;
  /** The host trusts this VF: promiscuous modes, any number of filters, any MAC. Default false. */
  readonly trusted: boolean;
  /** Frames from a source address that is not the VF's are dropped. Default true, as in an i40e. */
  readonly spoofCheck: boolean;
  /** Default true. */
  readonly linkUp: boolean;
  /** Mbit/s: 100, 1000, 2500, 5000, 10000 (default), 20000, 25000 or 40000. */
  readonly linkSpeed: number;
  /** Largest frame that the PF tells the VF, in bytes, default 9728; 0 tells none. */
  readonly maxFrame: number;
  /** PCI revision: 1 and 2 (default) occur. */
  readonly revision: number;
  /** Bytes of BAR0 as config space and region info give them: a power of two, default 64 KiB. */
  readonly bar0Size: number;
}

/** The same before the defaults were filled in. */
export type I40eVfOptionsInput = Pick<I40eVfOptions, "mac" | "vsiId"> & {
  readonly [Name in keyof I40eVfOptions]?: I40eVfOptions[Name] | undefined;
};

const SPEEDS: readonly number[] = [100, 1_000, 2_500, 5_000, 10_000, 20_000, 25_000, 40_000];

const powerOfTwo = (size: number): boolean => (size & (size - 1)) === 0;

const shape = {
  mac: z.string().regex(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/iu, "six hex pairs joined by colons"),
  adminMac: z.boolean().default(true),
  vsiId: z.int().min(1).max(1023),
  queuePairs: z.int().min(1).max(16).default(4),
  maxQueuePairs: z.int().min(1).max(16).default(16),
  vectors: z.int().min(2).max(17).default(5),
  pfReplyDelayMs: z.number().min(0).max(60_000).default(0),
  resetMs: z.number().min(0).max(60_000).default(20),
  grantedCaps: z.int().min(0).max(0xffff_ffff).optional(),
  trusted: z.boolean().default(false),
  spoofCheck: z.boolean().default(true),
  linkUp: z.boolean().default(true),
  linkSpeed: z
    .number()
    .refine((mbit) => SPEEDS.includes(mbit), `one of ${SPEEDS.join(", ")}`)
    .default(10_000),
  maxFrame: z.int().min(0).max(9_728).default(9_728),
  revision: z.int().min(0).max(255).default(2),
  bar0Size: z
    .int()
    .min(0x1_0000)
    .max(0x100_0000)
    .refine(powerOfTwo, "a power of two")
    .default(0x1_0000),
};

/** A host that set an address of zeros has set none. */
const settle = <Options extends I40eVfOptions>(options: Options): Options => ({
  ...options,
  adminMac: options.adminMac && !/^[0:]+$/u.test(options.mac),
});

/** Checks the options of a model and fills in defaults; unknown names are refused. */
export const i40eVfOptions: z.ZodType<I40eVfOptions, I40eVfOptionsInput> = z
  .strictObject(shape)
  .transform(settle);

/** What a configuration says of a model: its options, and where its frames go. */
export interface I40eVfBaseOptions extends I40eVfOptions {
  /** Default: the scenario's wire. */
  readonly wire: DeviceWireOptions;
}

/** The same before the defaults were filled in. */
export type I40eVfBaseOptionsInput = I40eVfOptionsInput & {
  readonly wire?: DeviceWireOptionsInput | undefined;
};

/** Checks a configuration's options for a model. */
export const i40eVfBaseOptions: z.ZodType<I40eVfBaseOptions, I40eVfBaseOptionsInput> = z
  .strictObject({ ...shape, wire: deviceWireOptions.default({ kind: "scenario" }) })
  .transform(settle);
