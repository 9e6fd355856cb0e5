import {
  createDmaMap,
  createGuestMemory,
  createIrqVectors,
  createReachableMemory,
  silentLogger,
  systemClock,
  VfmigError,
  type Clock,
  type Logger,
  type VfioDevice,
} from "@vfmig/core";
import type { z } from "zod";
import type { FrameVerdict, WirePort } from "../../wire/port.ts";
import { Msix } from "../pci/msix.ts";
import { FrameInput } from "./frame-input.ts";
import { functionSpec } from "./function-spec.ts";
import type { VfModelOptions } from "./options.ts";
import type { VfProfile } from "./profile.ts";
import { IOVA_WINDOW, VfDevice, deviceInfo } from "./vf-device.ts";
import { VfFunction } from "./vf-function.ts";
import { settingsOf, type VfSettings } from "./vf-settings.ts";

/** What a model is made with beside its kind's options. */
export interface VfModelContext {
  /** The device's name in the configuration. */
  readonly name: string;
  readonly port: WirePort;
  /** Default: the process's own clock. */
  readonly clock?: Clock;
  readonly logger?: Logger;
}

/** What the contexts of one queue pair hold, as their PF sees them. */
export interface VfQueueContext {
  readonly queue: number;
  /** IOVA of descriptor 0. */
  readonly txRing: number;
  readonly rxRing: number;
  readonly txEnabled: boolean;
  readonly rxEnabled: boolean;
}

/** What is true of a model. For tests; nothing of a `VfioDevice` leads here, and no queue head is in it. */
export interface VfTruth {
  /** Numbers of the 4 KiB pages that the device wrote by DMA since the log was cleared, ascending. */
  writtenPages(): readonly number[];
  clearWrittenPages(): void;
  /** Frames from the wire by what became of them. */
  readonly verdicts: Readonly<Record<FrameVerdict, number>>;
  readonly transmitted: number;
  /** Frames that a spoof check dropped: of the source address, or of the VLAN. */
  readonly spoofed: number;
  readonly linkDown: number;
  readonly maliciousEvents: number;
  readonly idleDescriptors: number;
  readonly partialDropped: number;
  /** Accesses outside mapped memory. */
  readonly dmaFaults: number;
  /** What the PF has set up for the VF. */
  settings(): VfSettings;
  /** Of the pairs that have a context. */
  queueContexts(): readonly VfQueueContext[];
}

/** The host's hand on the PF: what `ip link set <pf> vf <n>` and the cable do. */
export interface VfControl {
  /** `speed` in Mbit/s; kept where it is left out. */
  setLink(up: boolean, speed?: number): void;
  /** The PF resets the VF of its own accord, after telling it where `announce` is true. */
  resetVf(announce: boolean): void;
  /** Milliseconds for requests from now on. */
  setReplyDelay(ms: number): void;
  /** Pairs that REQUEST_QUEUES may get from now on: others have taken or given back the rest. */
  setMaxQueuePairs(count: number): void;
}

export interface VfModel {
  readonly device: VfioDevice;
  readonly truth: VfTruth;
  readonly control: VfControl;
}

/**
 * A model of the kind that `profile` describes.
 * @throws VfmigError `ERR_VFMIG_MODEL_OPTIONS`
 */
export function createVfModel<Options extends VfModelOptions, Input>(
  profile: VfProfile,
  schema: z.ZodType<Options, Input>,
  context: VfModelContext,
  options: Input,
): VfModel {
  const { name, port, clock = systemClock, logger = silentLogger } = context;
  const parsed = checkOptions(name, schema, options);
  const spec = functionSpec(profile.function, parsed);
  const map = createDmaMap([IOVA_WINDOW]);
  const info = deviceInfo(name, spec);
  const irqs = createIrqVectors(info.irqs, { pci: true, layer: "base" });
  const msix = new Msix(parsed.vectors, irqs);
  const memory = { mapped: createGuestMemory(map), reachable: createReachableMemory(map) };
  const parts = { profile, spec, options: parsed, memory, msix, port, clock, logger };
  const unit = new VfFunction(parts);
  const input = new FrameInput(port, (frame) => unit.receiver.receive(frame));
  return {
    device: new VfDevice({ info, spec, unit, msix, irqs, map, port, input }),
    truth: createTruth(unit),
    control: {
      setLink: (up, speed) => unit.setLink(up, speed ?? unit.state.linkSpeed),
      resetVf: (announce) => unit.resetVf(announce),
      setReplyDelay: (ms) => void (unit.state.replyDelayMs = ms),
      setMaxQueuePairs: (count) => void (unit.state.maxQueuePairs = count),
    },
  };
}

function checkOptions<Options, Input>(
  name: string,
  schema: z.ZodType<Options, Input>,
  options: Input,
): Options {
  const parsed = schema.safeParse(options);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new VfmigError(
    "ERR_VFMIG_MODEL_OPTIONS",
    `The model of device "${name}" cannot be made: ${problems.join("; ")}. Correct its options.`,
    { layer: "testkit", details: { device: name, problems }, cause: parsed.error },
  );
}

function createTruth(unit: VfFunction): VfTruth {
  return {
    settings: () => settingsOf(unit),
    writtenPages: () => unit.pages.pages(),
    clearWrittenPages: () => unit.pages.clear(),
    get verdicts() {
      return { ...unit.tally.verdicts };
    },
    get transmitted() {
      return unit.tally.transmitted;
    },
    get spoofed() {
      return unit.tally.spoofed;
    },
    get linkDown() {
      return unit.tally.linkDown;
    },
    get maliciousEvents() {
      return unit.tally.maliciousEvents;
    },
    get idleDescriptors() {
      return unit.tally.idleDescriptors;
    },
    get partialDropped() {
      return unit.tally.partialDropped;
    },
    get dmaFaults() {
      return unit.dma.faults;
    },
    queueContexts: () =>
      unit.transmitter.queues.flatMap((tx, queue) => {
        const rx = unit.receiver.queues[queue];
        if (!tx.usable || rx === undefined) return [];
        const enabled = { txEnabled: tx.enabled, rxEnabled: rx.enabled };
        return [{ queue, txRing: tx.base, rxRing: rx.base, ...enabled }];
      }),
  };
}
