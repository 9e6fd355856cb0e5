import { RX_DESCRIPTOR_SIZE, TX_COMMAND, rxTail, writeRxPosted } from "@vfmig/iavf";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { IOVA, VF_KINDS, rigsOf, type Rig } from "./testing/rig.ts";
import { DD, RING, settled, withoutFile } from "./testing/remote-memory.ts";
import { inward, outward } from "./testing/plain-frames.ts";

const { EOP, RS } = TX_COMMAND;

/** Does the same to a rig whatever its memory is. */
class Player {
  readonly rig: Rig;
  #filled = 0;
  #posted = RING - 1;
  #tx = 0;
  #pending = 0;
  #fill = 0;

  constructor(rig: Rig) {
    this.rig = rig;
  }

  receive(size: number): string {
    return this.rig.port.deliver(inward(size, ++this.#fill));
  }

  /** The driver has to wait for write-backs before `frames` more. */
  full(frames: number): boolean {
    this.#pending += frames;
    if (this.#pending < RING - 1) return false;
    this.#pending = frames;
    return true;
  }

  transmit(sizes: readonly number[]): void {
    for (const size of sizes) {
      this.rig.putTx(0, this.#tx, outward(size, ++this.#fill), EOP | RS);
      this.#tx = (this.#tx + 1) % RING;
    }
    this.rig.kickTx(0, this.#tx);
  }

  /** Gives back the buffers that were filled, as a driver does after it took them. */
  repost(): void {
    while ((this.rig.rxBack(0, this.#filled).low & DD) === 1 && this.#filled !== this.#posted) {
      const place = this.rig.rxRing(0) + this.#posted * RX_DESCRIPTOR_SIZE;
      writeRxPosted(this.rig.data, place, IOVA + this.rig.rxBuffer(0, this.#posted));
      this.#posted = (this.#posted + 1) % RING;
      this.#filled = (this.#filled + 1) % RING;
    }
    this.rig.write(rxTail(0), this.#posted);
    this.rig.clock.runSoon();
  }
}

describe.each(VF_KINDS)("%s, guest memory that came without a file", (kind) => {
  const { startedRig } = rigsOf(kind);

  test("leaves the same memory and sends the same frames as with a file, wherever its border lies", async () => {
    const step = fc.oneof(
      fc.record({ rx: fc.integer({ min: 60, max: 4000 }) }),
      fc.record({ tx: fc.array(fc.integer({ min: 60, max: 1500 }), { maxLength: 6 }) }),
      fc.constant({ repost: true }),
      fc.constant({ settle: true }),
    );
    const pages = 0x800;
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 5, maxLength: 60 }),
        fc.integer({ min: 0, max: pages - 1 }),
        fc.integer({ min: 1, max: pages }),
        async (steps, first, count) => {
          const plain = new Player(startedRig(1, {}, RING, 1024));
          const slow = new Player(startedRig(1, {}, RING, 1024));
          const end = Math.min(pages, first + count);
          const memory = withoutFile(slow.rig, first * 4096, end * 4096);
          for (const next of steps) {
            if ("settle" in next) await settled(slow.rig, memory);
            else if ("repost" in next) {
              await settled(slow.rig, memory);
              for (const player of [plain, slow]) player.repost();
            } else if ("rx" in next) {
              expect(slow.receive(next.rx)).toBe(plain.receive(next.rx));
            } else {
              if (plain.full(next.tx.length)) await settled(slow.rig, memory);
              for (const player of [plain, slow]) player.transmit(next.tx);
            }
          }
          await settled(slow.rig, memory);
          expect(slow.rig.port.sent).toEqual(plain.rig.port.sent);
          expect(Buffer.compare(slow.rig.memory, plain.rig.memory)).toBe(0);
          expect(slow.rig.model.truth.dmaFaults).toBe(0);
        },
      ),
      { numRuns: 25 },
    );
  });
});
