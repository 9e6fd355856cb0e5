import type { Interception, SubDriverContext } from "@vfmig/core";
import type { RegisterAccess } from "@vfmig/core/toolkit";

/** A register file whose writes are kept, and whose reads a test may script. */
export class FakeRegisters implements RegisterAccess {
  readonly values: Map<number, number> = new Map();
  readonly writes: [number, number][] = [];
  onRead: (offset: number) => number | undefined = () => undefined;
  onWrite: (offset: number, value: number) => void = () => {};

  read(offset: number): number {
    return this.onRead(offset) ?? this.values.get(offset) ?? 0;
  }

  write(offset: number, value: number): void {
    this.writes.push([offset, value]);
    this.values.set(offset, value);
    this.onWrite(offset, value);
  }
}

/** Vectors that count what reaches the guest. */
export class FakeVectors {
  readonly signals: number[] = [0, 0, 0];
  listens = true;
  released = 0;

  get context(): SubDriverContext {
    const intercept = (_index: number, vector: number): Interception => {
      const { signals } = this;
      const isListening = (): boolean => this.listens;
      return {
        signalGuest: () => void (signals[vector] = (signals[vector] ?? 0) + 1),
        get guestListens() {
          return isListening();
        },
        release: () => void this.released++,
      };
    };
    // Nothing else of it is used.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    return { interrupts: { intercept } } as unknown as SubDriverContext;
  }
}
