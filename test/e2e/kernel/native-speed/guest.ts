import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { systemClock, type Clock, type IrqEvent, type VfioDevice } from "@vfmig/core";
import { EventFd, type NativeIo } from "@vfmig/linux";
import { GuestRam, type GuestDriver } from "@vfmig/testkit/guest";
import { createIgbGuestDriver } from "@vfmig/testkit/guest-igb";
import { makeFrame, numberOf, setNumber } from "./echo.ts";

const RAM_BYTES = 8 * 2 ** 20;
const RAM_IOVA = 0x1_0000_0000n;
/** Nobody has it: the network gives what is for it to all its ports, and so to the echo. */
const PEER_MAC = "02:00:00:00:00:0b";

/** For frames that are still on their way; some may never come. */
const SETTLE_MS = 10_000;

/** Frames that went and came back. */
export interface Exchanged {
  readonly seconds: number;
  /** From the driver's sending to its receiving, in milliseconds, by frame. */
  readonly roundTripsMs: readonly number[];
}

/** A guest's memory and NIC driver on a device, and frames that come back. */
export class EchoGuest implements AsyncDisposable {
  readonly #resources = new DisposableStack();
  readonly #driver: GuestDriver;
  readonly #io: NativeIo;
  #onNumber: (number: number) => void = () => {};
  #onFault: (error: Error) => void = (error) => {
    throw error;
  };

  private constructor(io: NativeIo, device: VfioDevice, bytes: Uint8Array, clock: Clock) {
    this.#io = io;
    this.#driver = createIgbGuestDriver({
      device,
      ram: new GuestRam({ bytes, iova: RAM_IOVA }),
      clock,
      createEvent: (onSignal) => this.#createEvent(onSignal),
      onFrame: (frame) => {
        const number = numberOf(frame);
        if (number !== undefined) this.#onNumber(number);
      },
      onFault: (fault) => this.#onFault(fault),
    });
  }

  /** Gives the device memory, and brings it up. */
  static async start(
    io: NativeIo,
    device: VfioDevice,
    clock: Clock = systemClock,
  ): Promise<EchoGuest> {
    const fd = io.memfd("guest-ram", RAM_BYTES);
    const memory = io.mmap(fd, RAM_BYTES);
    io.close(fd);
    const size = BigInt(RAM_BYTES);
    await device.mapDma({ iova: RAM_IOVA, size, read: true, write: true, memory });
    const guest = new EchoGuest(io, device, memory.bytes, clock);
    guest.#resources.use(memory);
    await guest.#driver.start();
    return guest;
  }

  get interrupts(): number {
    return this.#driver.counters.interrupts;
  }

  /**
   * Sends `count` frames, of which at most `window` are on their way, and waits until each has come back.
   * @throws Error where one does not within `limitMs`, or comes twice
   */
  async exchange(count: number, window: number, limitMs: number): Promise<Exchanged> {
    const frame = makeFrame(this.#driver.mac, PEER_MAC);
    const sentAt: number[] = [];
    const roundTripsMs: number[] = [];
    const done = Promise.withResolvers<void>();
    const back = new Set<number>();
    const send = (): void => {
      while (sentAt.length < count && sentAt.length - back.size < window) {
        setNumber(frame, sentAt.length);
        sentAt.push(performance.now());
        if (!this.#driver.send(frame)) return done.reject(this.#refusal());
      }
    };
    this.#onFault = done.reject;
    this.#onNumber = (number) => {
      if (back.has(number)) return done.reject(new Error(`frame ${number} came twice`));
      back.add(number);
      roundTripsMs.push(performance.now() - (sentAt[number] ?? Number.NaN));
      if (back.size === count) done.resolve();
      else send();
    };
    const timer = setTimeout(() => {
      done.reject(new Error(`${back.size} of ${sentAt.length} frames came back, of ${count}`));
    }, limitMs);
    const began = performance.now();
    try {
      send();
      await done.promise;
    } finally {
      clearTimeout(timer);
      this.#onNumber = () => {};
    }
    assert.equal(back.size, count);
    return { seconds: (performance.now() - began) / 1000, roundTripsMs };
  }

  /**
   * Sends a frame every `intervalMs` until `signal`, whatever comes of the ones before.
   * @returns how many the device took, and how many of those came back
   */
  async stream(
    intervalMs: number,
    signal: AbortSignal,
  ): Promise<{ readonly sent: number; readonly back: number }> {
    const frame = makeFrame(this.#driver.mac, PEER_MAC);
    const back = new Set<number>();
    let sent = 0;
    this.#onNumber = (number) => void back.add(number);
    try {
      while (!signal.aborted) {
        setNumber(frame, sent);
        if (this.#driver.send(frame)) sent += 1;
        await pause(intervalMs);
      }
      const end = performance.now() + SETTLE_MS;
      while (back.size < sent && performance.now() < end) await pause(intervalMs);
    } finally {
      this.#onNumber = () => {};
    }
    return { sent, back: back.size };
  }

  /** Why the driver takes no frame, as far as it can be seen. */
  #refusal(): Error {
    const { state, fault, linkUp, indices, counters } = this.#driver;
    const seen = { state, fault: fault?.message, linkUp, indices, counters };
    return new Error(`the ring takes no frame: ${JSON.stringify(seen)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#driver.state === "running") await this.#driver.remove();
    this.#resources.dispose();
  }

  #createEvent(onSignal: () => void): IrqEvent {
    const event = this.#resources.use(EventFd.create(this.#io));
    this.#resources.use(
      this.#io.watch(event.fd, () => {
        event.drain();
        onSignal();
      }),
    );
    return event;
  }
}
