import { DYN_CTL, ICR0_ENA, VF_REGISTER, vectorControl } from "@vfmig/iavf";
import type { GuestClock } from "./guest-clock.ts";
import type { Mailbox, MailboxMessage } from "./mailbox.ts";
import type { PciSlot } from "./pci-slot.ts";

/** Between two looks into the mailbox while it has no vector, in milliseconds. */
const POLL_MS = 30;

export interface MailboxWorkOptions {
  readonly slot: PciSlot;
  readonly clock: GuestClock;
  readonly mailbox: Mailbox;
  /** Runs deferred work, and turns what it throws into the guest's fault. */
  readonly guard: (run: () => void) => void;
  readonly onMessage: (message: MailboxMessage) => void;
}

/** Vector 0: the interrupt schedules work, the work drains the mailbox and re-arms the vector. */
export class MailboxWork {
  readonly #options: MailboxWorkOptions;
  #scheduled = false;
  #armed = false;

  constructor(options: MailboxWorkOptions) {
    this.#options = options;
  }

  /** Before vectors are set up, messages are looked for until {@link arm}. */
  poll(): void {
    const { clock, guard, mailbox, onMessage } = this.#options;
    clock.after(POLL_MS, () =>
      guard(() => {
        mailbox.drain(onMessage);
        if (!this.#armed) this.poll();
      }),
    );
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
    if (this.#scheduled) return;
    this.#scheduled = true;
    const { clock, guard } = this.#options;
    clock.soon(() => {
      this.#scheduled = false;
      guard(() => this.#run());
    });
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
