import type { Clock } from "@vfmig/core";
import { DYN_CTL, ICR0_ENA, VF_REGISTER, vectorControl } from "@vfmig/iavf";
import { SoonWork } from "../guest/soon-work.ts";
import type { PciSlot } from "../guest/pci-slot.ts";
import type { Mailbox, MailboxMessage } from "./mailbox.ts";

/** Between two looks into the mailbox while it has no vector, in milliseconds. */
const POLL_MS = 30;

export interface MailboxWorkOptions {
  readonly slot: PciSlot;
  readonly clock: Clock;
  readonly mailbox: Mailbox;
  readonly onMessage: (message: MailboxMessage) => void;
}

/** Vector 0: the interrupt schedules work, the work drains the mailbox and re-arms the vector. */
export class MailboxWork {
  readonly #options: MailboxWorkOptions;
  readonly #work: SoonWork;
  #armed = false;

  constructor(options: MailboxWorkOptions) {
    this.#options = options;
    this.#work = new SoonWork(options.clock, () => this.#run());
  }

  /** Before vectors are set up, messages are looked for until {@link arm}. */
  poll(): void {
    const { clock, mailbox, onMessage } = this.#options;
    clock.after(POLL_MS, () => {
      mailbox.drain(onMessage);
      if (!this.#armed) this.poll();
    });
  }

  arm(): void {
    const { slot } = this.#options;
    this.#armed = true;
    slot.write32(vectorControl(0), DYN_CTL.REARM);
    slot.write32(VF_REGISTER.VFINT_ICR0_ENA1, ICR0_ENA.ADMINQ);
    slot.read32(VF_REGISTER.VFGEN_RSTAT);
  }

  disarm(): void {
    this.#armed = false;
    this.#options.slot.write32(vectorControl(0), 0);
  }

  interrupt(): void {
    this.#work.schedule();
  }

  #run(): void {
    if (!this.#armed) return;
    const { slot, mailbox, onMessage } = this.#options;
    slot.read32(VF_REGISTER.VFINT_ICR01);
    slot.read32(VF_REGISTER.VFINT_ICR0_ENA1);
    mailbox.drain(onMessage);
    mailbox.clearErrors();
    this.arm();
  }
}
