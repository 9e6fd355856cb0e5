import type { Clock, GuestMemory, Logger, Timer } from "@vfmig/core";
import { RSTAT, VF_REGISTER } from "@vfmig/iavf";
import type { WirePort } from "../../wire/port.ts";
import { ConfigSpace } from "../pci/config-space.ts";
import type { Msix } from "../pci/msix.ts";
import { BUS_MASTER, CONFIG_OFFSET, INITIATE_FLR, configTable } from "./config-table.ts";
import { Counters, createTally, type Tally } from "./counters.ts";
import { Dma } from "./dma.ts";
import { ReceiveFilters } from "./filters.ts";
import { Interrupts } from "./interrupts.ts";
import { Mailbox } from "./mailbox.ts";
import type { I40eVfOptions } from "./options.ts";
import { PageLog } from "./page-log.ts";
import type { PfHardware } from "./pf/handler.ts";
import { PfSide } from "./pf/pf-side.ts";
import { VfState } from "./pf/vf-state.ts";
import { Receiver } from "./receiver.ts";
import { Registers } from "./registers.ts";
import { Rss } from "./rss.ts";
import { Transmitter } from "./transmitter.ts";

/** Queue pairs that the hardware gives a VF at most. */
const MAX_PAIRS = 16;

export interface FunctionParts {
  readonly options: I40eVfOptions;
  readonly memory: GuestMemory;
  readonly msix: Msix;
  readonly port: WirePort;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The hardware of one VF with its PF driver, put together; `VfioDevice` is a face of it. */
export class I40eVfFunction implements PfHardware {
  readonly registers: Registers = new Registers();
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

  constructor(parts: FunctionParts) {
    const { options, clock, logger } = parts;
    this.#parts = parts;
    this.state = new VfState(options);
    this.config = new ConfigSpace(configTable(options));
    this.dma = new Dma(parts.memory, this.pages);
    this.rss = new Rss(this.registers);
    this.#interrupts = new Interrupts(this.registers, parts.msix);
    const shared = {
      registers: this.registers,
      interrupts: this.#interrupts,
      dma: this.dma,
      filters: this.filters,
      counters: this.counters,
      tally: this.tally,
      clock,
      logger,
    };
    this.receiver = new Receiver(MAX_PAIRS, { ...shared, rss: this.rss });
    this.transmitter = new Transmitter(MAX_PAIRS, {
      ...shared,
      spoofCheck: options.spoofCheck,
      transmit: (frame) => parts.port.transmit(frame),
    });
    this.#mailbox = new Mailbox(shared);
    this.#pf = new PfSide(this, this.#mailbox, clock, logger);
    this.#mailbox.connect(this.#pf);
    this.setLink(options.linkUp, options.linkSpeed, false);
    this.#finishReset();
  }

  /** A write to config space was done: the command register and Device Control act. */
  configWritten(offset: number, from: Uint8Array): void {
    const high = CONFIG_OFFSET.DEVICE_CONTROL + 1 - offset;
    const flr = high >= 0 && high < from.length && (from[high]! & (INITIATE_FLR >> 8)) !== 0;
    if (flr) this.functionReset();
    else this.#applyCommand();
  }

  /** Function level reset: config space, MSI-X and all that a VF reset clears. */
  functionReset(): void {
    this.config.reset();
    this.#parts.msix.reset();
    this.#applyCommand();
    this.resetVf(false);
  }

  /** The PF's or the hardware's reset of the VF; RSTAT tells when it is over. */
  resetVf(announce: boolean): void {
    if (announce) this.#pf.announceReset();
    this.registers.set(VF_REGISTER.VFGEN_RSTAT, RSTAT.IN_PROGRESS);
    this.#mailbox.open = false;
    this.#mailbox.reset();
    this.#pf.drop();
    this.registers.resetVf();
    this.#interrupts.reset();
    this.receiver.reset();
    this.transmitter.reset();
    this.#resetTimer?.cancel();
    this.#resetTimer = this.#parts.clock.after(this.state.options.resetMs, () => {
      this.#resetTimer = undefined;
      this.#finishReset();
    });
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
    this.#resetTimer?.cancel();
    this.#pf.drop();
    this.#mailbox.open = false;
    this.dma.master = false;
    this.receiver.reset();
    this.transmitter.reset();
  }

  /** The PF's clean-up: a fresh VSI, default RSS, then "active". */
  #finishReset(): void {
    this.counters.clear();
    this.rss.reset();
    this.state.rebuild(this.filters);
    this.registers.set(VF_REGISTER.VFGEN_RSTAT, RSTAT.ACTIVE);
    this.#mailbox.open = true;
  }

  /** What could not run without bus mastering goes on with it. */
  #applyCommand(): void {
    const master = (this.config.word(CONFIG_OFFSET.COMMAND) & BUS_MASTER) !== 0;
    const rises = master && !this.dma.master;
    this.dma.master = master;
    if (!rises) return;
    this.#mailbox.kick();
    this.transmitter.kick();
    this.receiver.kick();
  }
}
