import type { Clock, IrqEvent, VfioDevice } from "@vfmig/core";
import type { VfResources } from "@vfmig/iavf";
import type { GuestFault } from "./fault.ts";
import type { GuestRam } from "./guest-ram.ts";
import type { FrameHandler } from "./rx-ring.ts";

export interface GuestDriverOptions {
  /** The device in the guest's slot; its memory is mapped by whoever owns it. */
  readonly device: VfioDevice;
  readonly ram: GuestRam;
  readonly clock: Clock;
  /** Makes the far end of one interrupt vector: an eventfd that is watched, or {@link directEvent}. */
  readonly createEvent: (onSignal: () => void) => IrqEvent;
  /** Each received frame; a view that is valid during the call only. */
  readonly onFrame: FrameHandler;
  /** The first thing that no sound device does; the guest does nothing any more. */
  readonly onFault: (fault: GuestFault) => void;
  readonly onLink?: (up: boolean) => void;
  /** Queue pairs that the guest wants, as many as it has processors; 1 to 16, default 4. */
  readonly queuePairs?: number;
  /** Descriptors of each ring, 64 to 4,096 in steps of 32; default 512. */
  readonly ringSize?: number;
  /** Default 1500; above, frames take several Rx buffers. */
  readonly mtu?: number;
  /** Bytes of one Tx descriptor at most, up to 2,048; longer frames take several. Default 1,024. */
  readonly txSegment?: number;
  /** Address to use where the PF assigns none; default 02:00:00:00:00:0a. */
  readonly mac?: string;
  /** Multicast addresses that the guest listens to; at most 16. */
  readonly multicast?: readonly string[];
  /** VLANs that the guest is in, 1 to 4094; at most 8. */
  readonly vlans?: readonly number[];
  /** Rx format (RXDID) to choose where the PF grants a choice: 1, the default, or 2. */
  readonly rxFormat?: 1 | 2;
  /** Capability bits that are asked for; default those of Linux 6.1. */
  readonly capabilities?: number;
}

export interface GuestCounters {
  readonly rxFrames: number;
  readonly rxBytes: number;
  /** Frames that came with an error and were dropped. */
  readonly rxErrors: number;
  /** Frames that {@link GuestDriver.send} took. */
  readonly txFrames: number;
  readonly txBytes: number;
  /** Frames that the device reported as sent. */
  readonly txCompleted: number;
  /** Frames that a reset of the device took away before they were sent. */
  readonly txDropped: number;
  /** Calls of send that found no room or no link. */
  readonly txBusy: number;
  readonly interrupts: number;
  readonly mailboxMessages: number;
  /** Answers to GET_STATS. */
  readonly statistics: number;
  readonly linkChanges: number;
  readonly resets: number;
}

/** Where the guest's driver stands in one queue pair. */
export interface GuestQueueIndices {
  readonly queue: number;
  readonly txNextToUse: number;
  readonly txNextToClean: number;
  readonly rxNextToUse: number;
  readonly rxNextToClean: number;
}

export type GuestState = "off" | "starting" | "running" | "resetting" | "stopping" | "broken";

/** A guest with an iavf-like driver. */
export interface GuestDriver {
  readonly state: GuestState;
  readonly fault: GuestFault | undefined;
  /** The guest's time, which stands still in a pause; what acts for the guest uses it. */
  readonly clock: Clock;
  /** The guest's own address, known once it is running. */
  readonly mac: string;
  readonly linkUp: boolean;
  readonly counters: GuestCounters;
  readonly indices: readonly GuestQueueIndices[];

  /** Probes the device and brings it up; settles with carrier and filters. @throws GuestFault */
  start(): Promise<void>;
  /**
   * Sends a frame, which is copied; false where the ring is full, there is no carrier, or the guest
   * stands still or is broken.
   */
  send(frame: Uint8Array): boolean;
  /**
   * Asks the PF for something that no bring-up asks for; settles with the answer's body.
   *
   * @param body made when the request goes out, from the guest's VSI id
   * @throws VfmigError `ERR_VFMIG_GUEST_USE` where the VF is reset before the answer
   * @throws GuestFault where the guest breaks before it
   */
  request(operation: number, body: (vsiId: number) => Uint8Array): Promise<Uint8Array>;
  /** Has the PF reset the function and brings it up again. Settles with the carrier. */
  resetFunction(): Promise<void>;
  /** Stops the queues, resets the function and lets it go. */
  remove(): Promise<void>;

  /** The processors stand still: nothing of the guest runs until {@link resume}. */
  pause(): void;
  /** The guest goes on; interrupts that came meanwhile are taken now. */
  resume(): void;
  /** While paused: the guest's memory is `bytes` from now on. */
  useMemory(bytes: Uint8Array): void;
  /** While paused: another device and other memory in the place of the old ones. */
  rebind(place: { readonly device?: VfioDevice; readonly memory?: Uint8Array }): void;
  /** See {@link GuestRam.takeWrittenPages}. */
  takeWrittenPages(): number[];
}

/** The PF's answer to a request of the guest; a refusal has no body. */
export interface GuestReply {
  readonly status: number;
  readonly body: Uint8Array;
}

/** A guest whose driver speaks virtchnl. */
export interface VirtchnlGuestDriver extends GuestDriver {
  /** As the last event told it: Mbit/s where ADV_LINK_SPEED was granted, else a bit of `LEGACY_SPEED`. */
  readonly linkSpeed: number;
  /** What the PF granted when the device was brought up last. */
  readonly resources: VfResources | undefined;
  /** As {@link GuestDriver.request}, for what the PF may refuse. */
  ask(operation: number, body: (vsiId: number) => Uint8Array): Promise<GuestReply>;
}

/** An event for a device in the same process: each signal is a call. */
export function directEvent(onSignal: () => void): IrqEvent {
  return { signal: onSignal };
}
