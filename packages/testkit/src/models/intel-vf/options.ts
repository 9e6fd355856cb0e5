import { z } from "zod";

/**
 * What a user reads from the tails of queues, which no source settles for real hardware: what was
 * `written` (as far as the kind stores it), always `zero`, or `noise`.
 */
export type TailReads = "written" | "zero" | "noise";

/** What differs between two VFs of one kind; the same names in a configuration and in code. */
export interface VfModelOptions {
  /** The VF's MAC address, such as `02:00:00:00:00:0a`; all zeros lets the guest choose. */
  readonly mac: string;
  /**
   * The host set that MAC, so the guest may not add other unicast addresses. Default true; a MAC of
   * zeros was not set by anyone.
   */
  readonly adminMac: boolean;
  /** The number that the PF tells: i40e one that differs from host to host, ice always 1. */
  readonly vsiId: number;
  /** 1 to 16. */
  readonly queuePairs: number;
  /** Pairs that REQUEST_QUEUES may get, 1 to 16, default 16. */
  readonly maxQueuePairs: number;
  /** MSI-X vectors, the mailbox's included: 2 to 17. */
  readonly vectors: number;
  /** Milliseconds between a request and the PF's acting upon it; default 0: the next turn. */
  readonly pfReplyDelayMs: number;
  /** Milliseconds for which RSTAT tells "in progress" in a reset; default 20. */
  readonly resetMs: number;
  /** Capability bits that this PF gives at most, of those that it has; default all. */
  readonly grantedCaps?: number | undefined;
  /** The host trusts this VF: promiscuous modes, any number of filters, any MAC. Default false. */
  readonly trusted: boolean;
  /** Frames from a source address that is not the VF's are dropped. Default true, as in both PFs. */
  readonly spoofCheck: boolean;
  /**
   * Interrupts wait for their throttling interval, as far as the clock is exact (a process's own timers
   * count whole milliseconds). Default false: an armed vector fires at once.
   */
  readonly throttling: boolean;
  /** Default `written`. */
  readonly tailReads: TailReads;
  /** Default true. */
  readonly linkUp: boolean;
  /** Mbit/s, one that the hardware has. */
  readonly linkSpeed: number;
  /** Largest frame that the PF tells the VF, in bytes, default 9728; 0 tells none. */
  readonly maxFrame: number;
  /** PCI revision. */
  readonly revision: number;
  /** Bytes of BAR0 as config space and region info give them: a power of two. */
  readonly bar0Size: number;
  /** Only ice: the port runs in double VLAN mode. */
  readonly doubleVlan?: boolean;
  /** Only ice: QOS is granted when asked for. */
  readonly qos?: boolean;
}

/** Defaults and limits that differ between kinds of VF. */
export interface VfOptionDefaults {
  readonly queuePairs: number;
  readonly vectors: number;
  readonly speeds: readonly number[];
  readonly linkSpeed: number;
  /** The real size, which is also the smallest. */
  readonly bar0Size: number;
}

/** The checks of all options but `vsiId`. */
export interface VfOptionsShape {
  readonly mac: z.ZodString;
  readonly adminMac: z.ZodDefault<z.ZodBoolean>;
  readonly queuePairs: z.ZodDefault<z.ZodInt>;
  readonly maxQueuePairs: z.ZodDefault<z.ZodInt>;
  readonly vectors: z.ZodDefault<z.ZodInt>;
  readonly pfReplyDelayMs: z.ZodDefault<z.ZodNumber>;
  readonly resetMs: z.ZodDefault<z.ZodNumber>;
  readonly grantedCaps: z.ZodOptional<z.ZodInt>;
  readonly trusted: z.ZodDefault<z.ZodBoolean>;
  readonly spoofCheck: z.ZodDefault<z.ZodBoolean>;
  readonly throttling: z.ZodDefault<z.ZodBoolean>;
  readonly tailReads: z.ZodDefault<z.ZodEnum<{ [Reads in TailReads]: Reads }>>;
  readonly linkUp: z.ZodDefault<z.ZodBoolean>;
  readonly linkSpeed: z.ZodDefault<z.ZodNumber>;
  readonly maxFrame: z.ZodDefault<z.ZodInt>;
  readonly revision: z.ZodDefault<z.ZodInt>;
  readonly bar0Size: z.ZodDefault<z.ZodInt>;
}

const MAX_BAR0 = 0x100_0000;

const powerOfTwo = (size: number): boolean => (size & (size - 1)) === 0;

export function vfOptionsShape(defaults: VfOptionDefaults): VfOptionsShape {
  const { speeds, bar0Size } = defaults;
  return {
    mac: z.string().regex(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/iu, "six hex pairs joined by colons"),
    adminMac: z.boolean().default(true),
    queuePairs: z.int().min(1).max(16).default(defaults.queuePairs),
    maxQueuePairs: z.int().min(1).max(16).default(16),
    vectors: z.int().min(2).max(17).default(defaults.vectors),
    pfReplyDelayMs: z.number().min(0).max(60_000).default(0),
    resetMs: z.number().min(0).max(60_000).default(20),
    grantedCaps: z.int().min(0).max(0xffff_ffff).optional(),
    trusted: z.boolean().default(false),
    spoofCheck: z.boolean().default(true),
    throttling: z.boolean().default(false),
    tailReads: z.enum(["written", "zero", "noise"]).default("written"),
    linkUp: z.boolean().default(true),
    linkSpeed: z
      .number()
      .refine((mbit) => speeds.includes(mbit), `one of ${speeds.join(", ")}`)
      .default(defaults.linkSpeed),
    maxFrame: z.int().min(0).max(9_728).default(9_728),
    revision: z.int().min(0).max(255).default(2),
    bar0Size: z
      .int()
      .min(bar0Size)
      .max(MAX_BAR0)
      .refine(powerOfTwo, "a power of two")
      .default(bar0Size),
  };
}

/** A MAC of zeros is one that no host set. */
export function hostSetMac({ adminMac, mac }: Pick<VfModelOptions, "adminMac" | "mac">): boolean {
  return adminMac && !/^[0:]+$/u.test(mac);
}
