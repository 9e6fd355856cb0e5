import {
  type DmaLoggingFacet,
  type MigrationFacet,
  type MigrationState,
  type VfioDevice,
} from "@vfmig/core";
import { describe, expect, it } from "vitest";
import { createManualClock } from "../clock/manual-clock.ts";
import { moveGuest, type Machine, type MovableGuest } from "./move.ts";
import { VirtualSlot } from "./virtual-slot.ts";

const PAGE = 4096;
const RAM = 16 * PAGE;

/** A machine whose device does nothing but keep its state, and fails in one state if it is told to. */
class FakeMachine implements Machine {
  readonly name: string;
  readonly ram: Uint8Array = new Uint8Array(RAM);
  readonly log: string[] = [];
  readonly dirty = new Set<number>();
  failsIn: MigrationState | undefined;
  preCopy = false;
  state: MigrationState = "running";
  received = 0;
  #stream = 0;

  constructor(name: string) {
    this.name = name;
  }

  get device(): VfioDevice {
    return {
      readRegion: (_index: number, _offset: number, into: Uint8Array) => into.fill(6),
      writeRegion: () => this.log.push("command"),
      setIrqs: () => this.log.push("irqs"),
      reset: async () => {
        this.log.push("reset");
        this.state = "running";
      },
      migration: this.#migration(),
      dmaLogging: this.#logging(),
    } as unknown as VfioDevice;
  }

  #migration(): MigrationFacet {
    return {
      capabilities: { p2p: false, preCopy: this.preCopy },
      state: this.state,
      setState: async (target: MigrationState) => {
        if (target === this.failsIn) throw new Error(`no ${target}`);
        this.log.push(target);
        this.state = target;
        this.#stream = target === "stop-copy" ? 100_000 : target === "pre-copy" ? 70_000 : 0;
      },
      readData: async (into: Uint8Array) => {
        const length = Math.min(into.length, this.#stream);
        this.#stream -= length;
        return length;
      },
      writeData: async (from: Uint8Array) => {
        this.received += from.length;
      },
    } as unknown as MigrationFacet;
  }

  #logging(): DmaLoggingFacet {
    return {
      start: async () => PAGE,
      stop: async () => void this.log.push("log stopped"),
      report: async (_range: unknown, _size: number, bitmap: Uint8Array) => {
        for (const page of this.dirty)
          bitmap[page >> 3] = (bitmap[page >> 3] ?? 0) | (1 << (page & 7));
        this.dirty.clear();
      },
    };
  }
}

class FakeGuest implements MovableGuest {
  running = true;
  memory: Uint8Array | undefined;
  onPause: () => void = () => {};
  written: number[] = [];

  pause(): void {
    this.running = false;
    this.onPause();
  }

  resume(): void {
    this.running = true;
  }

  takeWrittenPages(): number[] {
    return this.written.splice(0);
  }

  useMemory(ram: Uint8Array): void {
    this.memory = ram;
  }
}

function scene() {
  const source = new FakeMachine("source");
  const target = new FakeMachine("target");
  const guest = new FakeGuest();
  const clock = createManualClock();
  const run = () =>
    moveGuest({
      slot: new VirtualSlot(source.device),
      source,
      target,
      guest,
      ramIova: 0n,
      clock: { ...clock, now: () => clock.now(), soon: (turn) => (turn(), { cancel() {} }) },
    });
  return { source, target, guest, run };
}

describe("moving a guest", () => {
  it("carries memory, what was written after the copy, and the state, and wipes the source", async () => {
    const { source, target, guest, run } = scene();
    source.ram.fill(1);
    guest.onPause = () => {
      source.ram.fill(2, 3 * PAGE, 4 * PAGE);
      source.ram.fill(3, 9 * PAGE, 10 * PAGE);
      source.dirty.add(3);
      // Named, and as it was.
      source.dirty.add(5);
      source.dirty.add(6);
      guest.written.push(9);
    };
    const outcome = await run();
    expect(outcome).toMatchObject({ stateBytes: 100_000, dirtyPages: 3, copiedPages: 4 });
    expect(outcome.dirty).toEqual({ reported: 3, changed: 1, extra: 2, ratio: 3, forgotten: 0 });
    expect(target.received).toBe(100_000);
    expect([target.ram[0], target.ram[3 * PAGE], target.ram[9 * PAGE]]).toEqual([1, 2, 3]);
    expect(source.ram.every((byte) => byte === 0xa5)).toBe(true);
    expect(guest.memory).toBe(target.ram);
    expect(guest.running).toBe(true);
    expect(source.log).toEqual(["stop", "stop-copy", "log stopped", "reset"]);
    expect(target.log).toEqual(["resuming", "command", "stop", "running"]);
  });

  it("counts pages that changed and that nobody named", async () => {
    const { source, guest, run } = scene();
    guest.onPause = () => {
      source.ram.fill(2, 3 * PAGE, 5 * PAGE);
      guest.written.push(3);
    };
    const { dirty } = await run();
    expect(dirty).toEqual({ reported: 0, changed: 0, extra: 0, ratio: null, forgotten: 1 });
  });

  it("weighs the log of the stop against what the last round before it left", async () => {
    const { source, guest, run } = scene();
    source.ram.fill(1);
    // Written while all of the memory was copied, and named then: no change at the stop.
    source.dirty.add(2);
    guest.onPause = () => source.dirty.add(2);
    expect((await run()).dirty).toMatchObject({ reported: 1, changed: 0, forgotten: 0 });
  });

  it("carries what it can of the state before the guest stands still", async () => {
    const { source, target, guest, run } = scene();
    source.preCopy = true;
    guest.onPause = () => guest.written.push(target.received === 70_000 ? 1 : 0);
    expect(await run()).toMatchObject({ stateBytes: 170_000 });
    expect(target.received).toBe(170_000);
    expect(source.log).toEqual(["pre-copy", "stop-copy", "stop-copy", "log stopped", "reset"]);
  });

  it("lets the guest go on where it was if the source fails before it stops", async () => {
    const { source, guest, run } = scene();
    source.preCopy = true;
    source.failsIn = "pre-copy";
    await expect(run()).rejects.toThrow("no pre-copy");
    expect([guest.running, source.state]).toEqual([true, "running"]);
  });

  it.each(["stop", "stop-copy"] as const)(
    "lets the guest go on where it was if the source fails in %s",
    async (state) => {
      const { source, target, guest, run } = scene();
      source.failsIn = state;
      await expect(run()).rejects.toThrow(`no ${state}`);
      expect(guest.running).toBe(true);
      expect(guest.memory).toBeUndefined();
      expect(source.state).toBe("running");
      expect(target.log.at(-1)).toBe("reset");
    },
  );

  it.each(["resuming", "running"] as const)(
    "lets the guest go on where it was if the target fails in %s",
    async (state) => {
      const { source, target, guest, run } = scene();
      target.failsIn = state;
      await expect(run()).rejects.toThrow(`no ${state}`);
      expect(guest.running).toBe(true);
      expect(source.state).toBe("running");
      expect(source.ram.every((byte) => byte === 0xa5)).toBe(false);
    },
  );
});
