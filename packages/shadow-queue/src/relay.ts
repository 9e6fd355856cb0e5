import type { GuestMemory, MemorySpan } from "@vfmig/core";
import { checkRings, checkSlot, reachable } from "./checks.ts";
import { PROGRESS, type RingCodec, SLOT } from "./codec.ts";
import type { RelayCounters, RelayFault, RelayOptions, RingPosition } from "./options.ts";

/** Marks a private slot that carries no descriptor of the guest. */
const OWN = -1;

/**
 * Carries descriptors from a guest's ring to a private one and finished ones back. It moves every
 * descriptor, so it knows both positions without asking the device, and the two need not agree: the
 * device starts at 0 wherever the guest is.
 *
 * A received frame reaches the guest as a whole: until its last buffer is done its slots stay posted,
 * so that a stop in the middle of a frame leaves nothing half delivered. Nothing here allocates per
 * descriptor, and no view of guest memory outlives a call.
 */
export class RingRelay {
  readonly #codec: RingCodec;
  readonly #memory: GuestMemory;
  readonly #options: RelayOptions;
  readonly #size: number;
  readonly #guestCount: number;
  readonly #ringCount: number;
  /** Per private slot: the guest's slot, what the codec said, the posted buffer. */
  readonly #guestSlot: Int32Array;
  readonly #slot: Uint8Array;
  readonly #address: Float64Array;
  readonly #length: Uint32Array;

  #running = false;
  #guestTail = 0;
  #guestNext = 0;
  #guestComplete = 0;
  #tail = 0;
  #complete = 0;
  #scan = 0;
  #ready = 0;
  #outstanding = 0;
  #span: MemorySpan | undefined;
  #faulty = false;
  /** Nothing of the guest's slot 0 and beyond is forwarded. */
  #wrapHeld = false;
  /** Slots that end as broken frames before anything else is forwarded. */
  #owed = 0;
  #forwarded = 0;
  #completed = 0;
  #own = 0;
  #faults = 0;

  /** @throws VfmigError `ERR_VFMIG_SHADOW_RING` */
  constructor(options: RelayOptions) {
    checkRings(options);
    this.#options = options;
    this.#codec = options.codec;
    this.#memory = options.memory;
    this.#size = options.codec.descriptorSize;
    this.#guestCount = options.guest.count;
    this.#ringCount = options.ring.count;
    this.#guestSlot = new Int32Array(this.#ringCount);
    this.#slot = new Uint8Array(this.#ringCount);
    this.#address = new Float64Array(this.#ringCount);
    this.#length = new Uint32Array(this.#ringCount);
  }

  get running(): boolean {
    return this.#running;
  }

  /** Where the guest stands; exact at any time. */
  get position(): RingPosition {
    return { complete: this.#guestComplete, tail: this.#guestTail };
  }

  /** Private slots that the device holds. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** True once the device has finished all that it was given and the guest has nothing waiting. */
  get idle(): boolean {
    return this.#outstanding === 0 && this.#guestNext === this.#guestTail;
  }

  /**
   * While {@link holdAtWrap} is on and all slots up to the ring's end were forwarded: how many of them
   * are not finished. Otherwise -1.
   */
  get toWrap(): number {
    if (!this.#wrapHeld || this.#guestNext !== 0) {
      return -1;
    }
    return distance(this.#guestComplete, 0, this.#guestCount);
  }

  /** Slots that were to be discarded and that the guest has not posted yet. */
  get owed(): number {
    return this.#owed;
  }

  get counters(): RelayCounters {
    return {
      forwarded: this.#forwarded,
      completed: this.#completed,
      own: this.#own,
      faults: this.#faults,
    };
  }

  /**
   * Begins with the device at 0 of an empty private ring and the guest at `position`: all that the
   * guest had posted and no device had finished is forwarded again by the next {@link forward}.
   * @throws VfmigError `ERR_VFMIG_RING_POSITION`
   */
  start(position: RingPosition): void {
    checkSlot("slot to complete", position.complete, this.#guestCount);
    checkSlot("tail", position.tail, this.#guestCount);
    this.#guestComplete = position.complete;
    this.#guestNext = position.complete;
    this.#guestTail = position.tail;
    this.#tail = 0;
    this.#complete = 0;
    this.#scan = 0;
    this.#ready = 0;
    this.#outstanding = 0;
    this.#owed = 0;
    this.#wrapHeld = false;
    this.#faulty = false;
    this.#running = true;
  }

  /** Ends forwarding; {@link complete} still takes what the device has finished. */
  pause(): void {
    this.#running = false;
  }

  /** Ends {@link pause}: forwards what waits. */
  resume(): void {
    this.#running = true;
    this.forward();
  }

  /**
   * Takes the guest's tail and forwards what it posted. A tail that no guest could mean is ignored:
   * false.
   */
  kick(tail: number): boolean {
    if (!(tail >= 0 && tail < this.#guestCount && Number.isInteger(tail))) {
      this.#fault("tail-range", tail, 0, 0);
      return false;
    }
    const posted = distance(this.#guestComplete, tail, this.#guestCount);
    if (posted < distance(this.#guestComplete, this.#guestNext, this.#guestCount)) {
      this.#fault("tail-backwards", tail, 0, 0);
      return false;
    }
    this.#guestTail = tail;
    this.forward();
    return true;
  }

  /**
   * Gives the device no slot from the guest's slot 0 on, so that it comes to the end of the guest's
   * ring and no further. Off again: forwards what waited.
   */
  holdAtWrap(on: boolean): void {
    this.#wrapHeld = on;
    if (!on) {
      this.forward();
    }
  }

  /**
   * Finishes the guest's next `count` slots as broken frames, which its driver drops; those that it
   * has not posted yet, as soon as it has, and before anything is forwarded. Only for a ring that the
   * device writes, and while the device holds nothing of it.
   */
  discard(count: number): void {
    this.#owed += count;
    this.#discardPosted();
  }

  #discardPosted(): void {
    this.#span = undefined;
    while (this.#owed > 0 && this.#outstanding === 0 && this.#guestNext !== this.#guestTail) {
      const at = this.#options.guest.base + this.#guestNext * this.#size;
      const span = this.#ringSpan(at, "write");
      if (span === undefined) {
        this.#fault("ring-unreachable", this.#guestNext, at, this.#size);
        break;
      }
      this.#codec.discard?.(span.data, at - span.base);
      this.#options.dirty.set(at, this.#size);
      this.#guestNext = next(this.#guestNext, this.#guestCount);
      this.#guestComplete = this.#guestNext;
      this.#owed--;
    }
    this.#span = undefined;
  }

  /** Gives the device what the guest has posted, as far as there is room; returns how many. */
  forward(): number {
    if (!this.#running) {
      return 0;
    }
    if (this.#owed > 0) {
      this.#discardPosted();
      if (this.#owed > 0) {
        return 0;
      }
    }
    let moved = 0;
    this.#span = undefined;
    while (this.#guestNext !== this.#guestTail && this.#outstanding < this.#ringCount - 1) {
      if (this.#wrapHeld && this.#guestNext === 0) {
        break;
      }
      if (!this.#forwardOne(this.#guestNext)) {
        break;
      }
      this.#guestNext = next(this.#guestNext, this.#guestCount);
      moved++;
    }
    this.#span = undefined;
    if (moved > 0) {
      this.#forwarded += moved;
      this.#faulty = false;
      this.#options.doorbell(this.#tail);
    }
    return moved;
  }

  #forwardOne(guestSlot: number): boolean {
    const codec = this.#codec;
    const at = this.#options.guest.base + guestSlot * this.#size;
    const span = this.#ringSpan(at, "read");
    if (span === undefined) {
      this.#fault("ring-unreachable", guestSlot, at, this.#size);
      return false;
    }
    const slot = this.#tail;
    const data = this.#options.ring.data;
    const offset = slot * this.#size;
    const flags = codec.forward(span.data, at - span.base, data, offset);
    const address = codec.address(data, offset);
    const length = codec.length(data, offset);
    const access = codec.deviceWrites ? "write" : "read";
    if (length > 0 && !reachable(this.#memory, address, length, access)) {
      this.#fault("buffer-unreachable", guestSlot, address, length);
      return false;
    }
    this.#take(guestSlot, flags, address, length);
    return true;
  }

  #take(guestSlot: number, flags: number, address: number, length: number): void {
    const slot = this.#tail;
    this.#guestSlot[slot] = guestSlot;
    this.#slot[slot] = flags;
    this.#address[slot] = address;
    this.#length[slot] = length;
    this.#tail = next(slot, this.#ringCount);
    this.#outstanding++;
  }

  /**
   * Sends one frame of the owner's, ahead of what the guest has not had forwarded yet. False where
   * there is no room, the relay is paused, or the format has no way.
   */
  inject(address: number, length: number): boolean {
    if (!this.#running || this.#outstanding >= this.#ringCount - 1) {
      return false;
    }
    const offset = this.#tail * this.#size;
    const flags = this.#codec.own?.(this.#options.ring.data, offset, address, length);
    if (flags === undefined) {
      return false;
    }
    this.#take(OWN, flags, address, length);
    this.#own++;
    this.#options.doorbell(this.#tail);
    return true;
  }

  /** Takes what the device has finished back to the guest; returns how many slots. */
  complete(): number {
    const codec = this.#codec;
    const data = this.#options.ring.data;
    while (this.#scan !== this.#tail) {
      const slot = this.#scan;
      const progress = codec.progress(data, slot * this.#size, this.#slot[slot] ?? 0);
      if (progress === PROGRESS.PENDING) {
        break;
      }
      this.#scan = next(slot, this.#ringCount);
      if (progress === PROGRESS.FRAME) {
        this.#ready = this.#scan;
      }
    }
    return this.#complete === this.#ready ? 0 : this.#commit();
  }

  #commit(): number {
    let finished = 0;
    this.#span = undefined;
    while (this.#complete !== this.#ready) {
      const guestSlot = this.#guestSlot[this.#complete] ?? OWN;
      if (guestSlot !== OWN) {
        if (!this.#writeBack(this.#complete, guestSlot)) {
          break;
        }
        this.#guestComplete = next(guestSlot, this.#guestCount);
        finished++;
      }
      this.#complete = next(this.#complete, this.#ringCount);
      this.#outstanding--;
    }
    this.#span = undefined;
    this.#completed += finished;
    // A full private ring may have held the guest's descriptors back.
    if (this.#guestNext !== this.#guestTail) {
      this.forward();
    }
    return finished;
  }

  #writeBack(slot: number, guestSlot: number): boolean {
    const codec = this.#codec;
    const data = this.#options.ring.data;
    const offset = slot * this.#size;
    if (codec.deviceWrites) {
      const posted = this.#length[slot] ?? 0;
      const written = codec.written(data, offset);
      // A device that says "nothing" or "too much" is not believed: all that was posted is dirty.
      const dirty = written > 0 && written <= posted ? written : posted;
      this.#options.dirty.set(this.#address[slot] ?? 0, dirty);
    }
    if (((this.#slot[slot] ?? 0) & SLOT.REPORTED) === 0) {
      return true;
    }
    const at = this.#options.guest.base + guestSlot * this.#size;
    const span = this.#ringSpan(at, "write");
    if (span === undefined) {
      this.#fault("ring-unreachable", guestSlot, at, this.#size);
      return false;
    }
    codec.writeBack(data, offset, span.data, at - span.base);
    this.#options.dirty.set(at, this.#size);
    return true;
  }

  /**
   * Marks every buffer that the device still holds as written; for a stop, after the last
   * {@link complete}: a frame may have begun in them.
   */
  markPosted(): void {
    if (!this.#codec.deviceWrites) {
      return;
    }
    for (let slot = this.#complete; slot !== this.#tail; slot = next(slot, this.#ringCount)) {
      this.#options.dirty.set(this.#address[slot] ?? 0, this.#length[slot] ?? 0);
    }
  }

  #ringSpan(at: number, access: "read" | "write"): MemorySpan | undefined {
    const known = this.#span;
    if (known !== undefined && at >= known.base && at + this.#size <= known.base + known.size) {
      return known;
    }
    this.#span = this.#memory.find(at, this.#size, access);
    return this.#span;
  }

  #fault(kind: RelayFault["kind"], slot: number, address: number, length: number): void {
    if (this.#faulty) {
      return;
    }
    this.#faulty = true;
    this.#faults++;
    this.#options.onFault?.({ kind, slot, address, length });
  }
}

function next(slot: number, count: number): number {
  return slot + 1 === count ? 0 : slot + 1;
}

function distance(from: number, to: number, count: number): number {
  return to >= from ? to - from : to - from + count;
}
