import {
  createDmaMap,
  createGuestMemory,
  createIrqVectors,
  silentLogger,
  systemClock,
  VfmigError,
  type Clock,
  type Logger,
  type VfioDevice,
} from "@vfmig/core";
import type { FrameVerdict, WirePort } from "../../wire/port.ts";
import { Msix } from "../pci/msix.ts";
import { I40eVfFunction } from "./function.ts";
import { I40eVfDevice, IOVA_WINDOW, deviceInfo } from "./i40e-vf-device.ts";
import { i40eVfOptions, type I40eVfOptions, type I40eVfOptionsInput } from "./options.ts";

export interface CreateI40eVfModelOptions extends I40eVfOptionsInput {
  /** The device's name in the configuration. */
  readonly name: string;
  readonly port: WirePort;
  /** Default: the process's own clock. */
  readonly clock?: Clock;
  readonly logger?: Logger;
}

/** What is true of a model. For tests; nothing of a `VfioDevice` leads here, and no queue head is in it. */
export interface I40eVfTruth {
  /** Numbers of the 4 KiB pages that the device wrote by DMA since the log was cleared, ascending. */
  writtenPages(): readonly number[];
  clearWrittenPages(): void;
  /** Frames from the wire by what became of them. */
  readonly verdicts: Readonly<Record<FrameVerdict, number>>;
  readonly transmitted: number;
  readonly spoofed: number;
  readonly linkDown: number;
  readonly maliciousEvents: number;
  readonly idleDescriptors: number;
  readonly partialDropped: number;
  /** Accesses outside mapped memory. */
  readonly dmaFaults: number;
}

/** The host's hand on the PF: what `ip link set <pf> vf <n>` and the cable do. */
export interface I40eVfControl {
  /** `speed` in Mbit/s; kept where it is left out. */
  setLink(up: boolean, speed?: number): void;
  /** The PF resets the VF of its own accord, after telling it where `announce` is true. */
  resetVf(announce: boolean): void;
  /** Milliseconds for requests from now on. */
  setReplyDelay(ms: number): void;
}

export interface I40eVfModel {
  readonly device: VfioDevice;
  readonly truth: I40eVfTruth;
  readonly control: I40eVfControl;
}

/**
 * A model of an Intel 700-series VF (8086:154c) together with its PF driver. Plain hardware: no
 * migration, no log of writes, no mappable region, and no way to read or set a queue's head.
 *
 * @throws VfmigError `ERR_VFMIG_MODEL_OPTIONS`
 *
 * @example
 * const { device } = createI40eVfModel({
 *   name: "vf0", mac: "02:00:00:00:00:0a", vsiId: 7, port, clock: systemClock, logger: silentLogger,
 * });
 */
export function createI40eVfModel(options: CreateI40eVfModelOptions): I40eVfModel {
  const { name, port, clock = systemClock, logger = silentLogger, ...rest } = options;
  const parsed = checkOptions(name, rest);
  const map = createDmaMap([IOVA_WINDOW]);
  const info = deviceInfo(name, parsed);
  const irqs = createIrqVectors(info.irqs, { pci: true, layer: "base" });
  const msix = new Msix(parsed.vectors, irqs);
  const memory = createGuestMemory(map);
  const unit = new I40eVfFunction({ options: parsed, memory, msix, port, clock, logger });
  port.attach((frame) => unit.receiver.receive(frame));
  return {
    device: new I40eVfDevice(info, unit, msix, irqs, map, port),
    truth: createTruth(unit),
    control: {
      setLink: (up, speed) => unit.setLink(up, speed ?? unit.state.linkSpeed),
      resetVf: (announce) => unit.resetVf(announce),
      setReplyDelay: (ms) => void (unit.state.replyDelayMs = ms),
    },
  };
}

function checkOptions(name: string, options: I40eVfOptionsInput): I40eVfOptions {
  const parsed = i40eVfOptions.safeParse(options);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new VfmigError(
    "ERR_VFMIG_MODEL_OPTIONS",
    `The model of device "${name}" cannot be made: ${problems.join("; ")}. Correct its options.`,
    { layer: "testkit", details: { device: name, problems }, cause: parsed.error },
  );
}

function createTruth(unit: I40eVfFunction): I40eVfTruth {
  return {
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
  };
}
