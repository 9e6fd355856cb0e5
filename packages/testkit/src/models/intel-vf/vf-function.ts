import type { Clock, Logger, Timer } from "@vfmig/core";
import { RSTAT, VF_REGISTER } from "@vfmig/iavf";
import type { WirePort } from "../../wire/port.ts";
import { ConfigSpace } from "../pci/config-space.ts";
import {
  COMMAND,
  COMMAND_OFFSET,
  INITIATE_FLR,
  MSIX_FUNCTION_MASK,
  deviceControlOffset,
  functionTable,
  msixControlOffset,
  type FunctionSpec,
} from "../pci/function-table.ts";
import type { Msix } from "../pci/msix.ts";
import { HASH_FIELD, HASH_FIELDS_ALL } from "../net/hash-input.ts";
import { Counters, createTally, type Tally } from "./counters.ts";
import { Dma, type DmaMemory } from "./dma.ts";
import { ReceiveFilters } from "./filters.ts";
import { Interrupts } from "./interrupts.ts";
import { Mailbox } from "./mailbox.ts";
import type { VfModelOptions } from "./options.ts";
import { PageLog } from "./page-log.ts";
import type { PfHardware } from "./pf/handler.ts";
import { PfSide } from "./pf/pf-side.ts";
import { VfState } from "./pf/vf-state.ts";
import type { VfProfile } from "./profile.ts";
import { Receiver } from "./receiver.ts";
import { Registers } from "./registers.ts";
import { Rss } from "./rss.ts";
import { hookTailReads } from "./tail-reads.ts";
import { Transmitter } from "./transmitter.ts";

/** Queue pairs that the hardware gives a VF at most. */
const MAX_PAIRS = 16;

export interface FunctionParts {
  readonly profile: VfProfile;
  readonly spec: FunctionSpec;
  readonly options: VfModelOptions;
  readonly memory: DmaMemory;
  readonly msix: Msix;
  readonly port: WirePort;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The hardware of one VF with its PF driver, put together; `VfioDevice` is a face of it. */
export class VfFunction implements PfHardware {
  readonly options: VfModelOptions;
  readonly registers: Registers;
  readonly pages: PageLog = new PageLog();
  readonly tally: Tally = createTally();
  readonly filters: ReceiveFilters = new ReceiveFilters();
  readonly counters: Counters = new Counters();
  readonly config: ConfigSpace;
  readonly state: VfState;
  readonly rss: Rss;
  readonly receiver: Receiver;
  readonly transmitter: Transmitter;
  readonly dma: Dma;
  readonly #pf: PfSide;
  readonly #parts: FunctionParts;
  readonly #interrupts: Interrupts;
  readonly #mailbox: Mailbox;
  #resetTimer: Timer | undefined;
  #noticeTimer: Timer | undefined;

  constructor(parts: FunctionParts) {
    const { profile, options, clock, logger, msix } = parts;
    this.#parts = parts;
    this.options = options;
    this.registers = new Registers(profile.registers);
    this.state = new VfState(options);
    this.config = new ConfigSpace(functionTable(parts.spec));
    this.dma = new Dma(parts.memory, this.pages);
    this.rss = new Rss({
      registers: this.registers,
      bound: profile.rssRegisters,
      fields: HASH_FIELDS_ALL | (profile.hashSctpTag ? HASH_FIELD.SCTP_TAG : 0),
    });
    this.#interrupts = new Interrupts({
      registers: this.registers,
      msix,
      clock,
      controlKept: profile.controlKept,
      throttling: options.throttling,
    });
    const shared = {
      registers: this.registers,
      interrupts: this.#interrupts,
      dma: this.dma,
      filters: this.filters,
      counters: this.counters,
      tally: this.tally,
      clock,
      logger,
      doubleVlan: options.doubleVlan === true,
    };
    this.receiver = new Receiver(MAX_PAIRS, {
      ...shared,
      rss: this.rss,
      pause: (on) => parts.port.pause?.(on),
    });
    this.transmitter = new Transmitter(MAX_PAIRS, {
      ...shared,
      spoofCheck: options.spoofCheck,
      transmit: (frame) => parts.port.transmit(frame),
    });
    this.#mailbox = new Mailbox({ ...shared, arqBaseFieldMask: profile.arqBaseFieldMask });
    this.#pf = new PfSide(this, profile.dialect, this.#mailbox, clock, logger);
    this.#mailbox.connect(this.#pf);
    hookTailReads(this.registers, options.tailReads);
    this.setLink(options.linkUp, options.linkSpeed, false);
    this.#finishReset();
  }

  /** A write to config space was done: the command register and Device Control act. */
  configWritten(offset: number, from: Uint8Array): void {
    const high = deviceControlOffset(this.#parts.spec) + 1 - offset;
    const flr = high >= 0 && high < from.length && (from[high]! & (INITIATE_FLR >> 8)) !== 0;
    if (flr) {
      this.functionReset();
      return;
    }
    this.#applyCommand();
    const control = this.config.word(msixControlOffset(this.#parts.spec));
    this.#parts.msix.functionMasked = (control & MSIX_FUNCTION_MASK) !== 0;
  }

  /** Function level reset: config space, MSI-X and all that a VF reset clears. */
  functionReset(): void {
    this.config.reset();
    this.#parts.msix.reset();
    this.#applyCommand();
    this.#beginReset();
    if (this.#parts.profile.flrClearsMailbox === "hardware") {
      this.#mailbox.clearLengths();
      return;
    }
    // The PF driver is told by an interrupt, and clears the lengths then.
    this.#noticeTimer = this.#parts.clock.soon(() => {
      this.#noticeTimer = undefined;
      this.#mailbox.clearLengths();
    });
  }

  /** The PF's reset of the VF; RSTAT tells when it is over. */
  resetVf(announce: boolean): void {
    if (announce) this.#pf.announceReset();
    this.#beginReset();
    this.#mailbox.clearLengths();
  }

  #beginReset(): void {
    this.registers.set(VF_REGISTER.VFGEN_RSTAT, RSTAT.IN_PROGRESS);
    this.#mailbox.open = false;
    this.#mailbox.drop();
    this.#pf.drop();
    this.registers.resetVf();
    this.#interrupts.reset();
    this.receiver.reset();
    this.transmitter.reset();
    this.#cancelTimers();
    this.#resetTimer = this.#parts.clock.after(this.options.resetMs, () => {
      this.#resetTimer = undefined;
      this.#finishReset();
    });
  }

  #cancelTimers(): void {
    this.#resetTimer?.cancel();
    this.#noticeTimer?.cancel();
  }

  /** The link's state, told to the VF where `tell` says so. */
  setLink(up: boolean, speed: number, tell = true): void {
    this.state.linkUp = up;
    this.state.linkSpeed = speed;
    this.receiver.linkUp = up;
    this.transmitter.linkUp = up;
    if (tell) this.#pf.tellLink();
  }

  /** Ends everything that still runs. */
  stop(): void {
    this.#cancelTimers();
    this.#interrupts.reset();
    this.#pf.drop();
    this.#mailbox.open = false;
    this.#mailbox.drop();
    this.dma.master = false;
    this.receiver.reset();
    this.transmitter.reset();
  }

  /** The PF's clean-up: a fresh VSI, default RSS, then "active". */
  #finishReset(): void {
    this.counters.clear();
    this.rss.reset();
    this.state.rebuild(this.filters);
    this.#parts.profile.dialect.rebuilt(this);
    this.registers.set(VF_REGISTER.VFGEN_RSTAT, RSTAT.ACTIVE);
    this.#mailbox.open = true;
  }

  /** What could not run without bus mastering goes on with it. */
  #applyCommand(): void {
    const master = (this.config.word(COMMAND_OFFSET) & COMMAND.BUS_MASTER) !== 0;
    const rises = master && !this.dma.master;
    if (!master && this.dma.master) this.#mailbox.interrupt();
    this.dma.master = master;
    if (!rises) return;
    this.#mailbox.kick();
    this.transmitter.kick();
    this.receiver.kick();
  }
}
