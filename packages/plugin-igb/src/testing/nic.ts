import type { Clock } from "@vfmig/core";
import { formatMac } from "@vfmig/testkit";
import { FLAG, OPCODE } from "../mailbox/messages.ts";
import { PfVf } from "./pf.ts";
import { NicVf } from "./vf.ts";

/** Until a write-back is there, where it comes late. */
const WRITE_BACK_MS = 3;

export interface NicOptions {
  readonly clock: Clock;
  /** Milliseconds until the PF's driver looks after its VFs. Default 0.05. */
  readonly pfDelayMs?: number;
  readonly vfs?: number;
}

/**
 * One card as QEMU 10.2's igb and Linux's igb driver are together, as far as this plugin meets them: VFs
 * with a mailbox each, and a switch that gives a frame to every pool with its address. What it does was
 * taken from their sources, and from runs of the real ones in `test/e2e/kernel/igb`.
 */
export class Nic {
  readonly vfs: readonly NicVf[];
  readonly pf: readonly PfVf[];
  /** Frames that left the card. */
  readonly wire: Uint8Array[] = [];
  /** The PF's driver does not look after its VFs. */
  deaf = false;
  readonly #clock: Clock;
  readonly #delayMs: number;
  #kicked = false;

  constructor({ clock, pfDelayMs = 0.05, vfs = 2 }: NicOptions) {
    this.#clock = clock;
    this.#delayMs = pfDelayMs;
    this.pf = Array.from({ length: vfs }, () => new PfVf());
    this.vfs = this.pf.map(
      (pf, index) =>
        new NicVf({
          name: `vf${index}`,
          pf,
          transmit: (frame) => this.#transmit(frame, index),
          kickPf: () => this.#kick(),
          later: (run) => void clock.after(WRITE_BACK_MS, run),
        }),
    );
  }

  /** A frame from outside: the VFs whose queues took it. */
  deliver(frame: Uint8Array): number[] {
    return this.#pools(frame).filter((index) => this.vfs[index]?.receive(frame));
  }

  /** Pools whose filters let a frame in, whether they can take it or not. */
  #pools(frame: Uint8Array): number[] {
    const to = formatMac(frame);
    const broadcast = to === "ff:ff:ff:ff:ff:ff";
    const hash = ((frame[4] ?? 0) >>> 4) | (((frame[5] ?? 0) << 4) & 0xfff);
    const group = ((frame[0] ?? 0) & 1) !== 0;
    return this.pf.flatMap((pf, index) => {
      const own = pf.filter === to || pf.extra.has(to);
      return own || broadcast || (group && pf.multicast.includes(hash)) ? [index] : [];
    });
  }

  /** The link or the PF changed: every VF that has been cleared is told. */
  ping(): void {
    for (const [index, pf] of this.pf.entries()) {
      this.vfs[index]?.say([(OPCODE.PF_CONTROL | (pf.cleared ? FLAG.CTS : 0)) >>> 0]);
    }
  }

  /** The PF's interface went down and up. */
  resetPf(): void {
    for (const [index, pf] of this.pf.entries()) {
      pf.cleared = false;
      this.vfs[index]?.pfReset();
    }
  }

  /** A unicast address that some pool has does not leave the card, even if that pool is off. */
  #transmit(frame: Uint8Array, _from: number): void {
    const pools = this.#pools(frame);
    for (const index of pools) this.vfs[index]?.receive(frame);
    const group = ((frame[0] ?? 0) & 1) !== 0;
    if (group || pools.length === 0) this.wire.push(frame);
  }

  #kick(): void {
    if (this.#kicked) return;
    this.#kicked = true;
    this.#clock.after(this.#delayMs, () => {
      this.#kicked = false;
      if (!this.deaf) this.#serve();
    });
  }

  /** Linux `igb_msg_task`: resets first, then messages. */
  #serve(): void {
    for (const [index, vf] of this.vfs.entries()) {
      const pf = this.pf[index];
      if (pf === undefined) continue;
      if (vf.wasReset) {
        vf.wasReset = false;
        pf.resetEvent();
      }
      if (!vf.request) continue;
      const message = Array.from(vf.registers.subarray(0x200, 0x210));
      const reply = pf.answer(message);
      if (pf.cleared) vf.enabled = true;
      vf.reply(reply);
    }
  }
}
