import {
  AQ_DESCRIPTOR_SIZE,
  AQ_FLAG,
  AQ_LENGTH,
  ARQ_REGISTERS,
  ATQ_REGISTERS,
  RX_DESCRIPTOR_SIZE,
  TX_COMMAND,
  TX_DESCRIPTOR_SIZE,
  VIRTCHNL_OP as OP,
  buildVersion,
  rxLength,
  rxTail,
  txTail,
  writeRxPosted,
} from "@vfmig/iavf";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ethernet, must } from "./testing/frames.ts";
import { IOVA, PEER_MAC, RIG_MAC, VF_KINDS, armMailbox, rigsOf, type Rig } from "./testing/rig.ts";
import { settled, withoutFile } from "./testing/remote-memory.ts";

const { EOP, RS } = TX_COMMAND;
const RING = 64;
const DD = 1;

function inward(size: number, fill = 1): Uint8Array {
  return ethernet(RIG_MAC, PEER_MAC, 0x88b5, new Uint8Array(size - 14).fill(fill));
}

function outward(size: number, fill = 1): Uint8Array {
  return ethernet(PEER_MAC, RIG_MAC, 0x88b5, new Uint8Array(size - 14).fill(fill));
}

function received(rig: Rig, index: number): Uint8Array {
  const at = rig.rxBuffer(0, index);
  return rig.memory.slice(at, at + rxLength(rig.rxBack(0, index).high));
}

/** Whether transmit descriptor `index` was reported. */
function sentBack(rig: Rig, index: number): boolean {
  return (must(rig.memory[rig.txRing(0) + index * TX_DESCRIPTOR_SIZE + 8]) & 0xf) === 0xf;
}

describe.each(VF_KINDS)("%s, guest memory that came without a file", (kind) => {
  const { newRig, startedRig } = rigsOf(kind);

  describe("mailbox", () => {
    test("a request is read, reported and answered by messages, the interrupt last", async () => {
      const rig = newRig();
      rig.setBusMaster(true);
      const memory = withoutFile(newlyMapped(rig));
      rig.enableInterrupts();
      armMailbox(rig);
      rig.openMailbox();
      memory.hold = true;
      const index = rig.send(OP.VERSION, buildVersion());
      for (let step = 0; step < 6; step++) {
        await settled(rig, memory);
        expect(memory.pending).toBe(1);
        // The third step reports the request, and only then the PF gets it.
        if (step < 3) expect(rig.signals[0] ?? 0).toBe(0);
        memory.release();
      }
      await settled(rig, memory);
      rig.poll();
      expect(rig.request(index).flags & AQ_FLAG.DD).toBe(AQ_FLAG.DD);
      expect(rig.messages).toMatchObject([{ opcode: OP.VERSION, status: 0 }]);
      expect(memory.log.map(({ access }) => access).join(" ")).toBe(
        "read read write read write write",
      );
      const [body, back] = memory.log.slice(-2);
      expect(must(body).length).toBe(buildVersion().length);
      expect(must(back).length).toBe(AQ_DESCRIPTOR_SIZE);
      expect(rig.signals[0]).toBeGreaterThan(0);
    });

    test("requests are answered one after the other, each once", async () => {
      const rig = startedRig();
      const memory = withoutFile(rig);
      rig.messages.length = 0;
      for (let count = 0; count < 10; count++) rig.send(OP.VERSION, buildVersion());
      await settled(rig, memory);
      rig.poll();
      expect(rig.messages.map(({ opcode }) => opcode)).toEqual(Array(10).fill(OP.VERSION));
    });

    test("a client that refuses stops the ring with a critical error", async () => {
      const rig = startedRig();
      const memory = withoutFile(rig);
      memory.refuse = ({ access }) => access === "write";
      rig.send(OP.VERSION, buildVersion());
      rig.model.control.setLink(false);
      await settled(rig, memory);
      expect(rig.read(ATQ_REGISTERS.len) & AQ_LENGTH.CRIT).not.toBe(0);
      expect(rig.read(ARQ_REGISTERS.len) & AQ_LENGTH.CRIT).not.toBe(0);
    });

    test("a reset in mid-request leaves nothing that is written afterwards", async () => {
      const rig = startedRig();
      const memory = withoutFile(rig);
      memory.hold = true;
      rig.send(OP.VERSION, buildVersion());
      await settled(rig, memory);
      await rig.device.reset();
      memory.hold = false;
      memory.log.length = 0;
      memory.release();
      await settled(rig, memory);
      expect(memory.log).toEqual([]);
    });

    test("a request is taken anew where bus mastering went and came back", async () => {
      const rig = startedRig();
      const memory = withoutFile(rig);
      memory.hold = true;
      rig.messages.length = 0;
      rig.send(OP.VERSION, buildVersion());
      await settled(rig, memory);
      rig.setBusMaster(false);
      memory.hold = false;
      memory.release();
      await settled(rig, memory);
      expect(memory.log.filter(({ access }) => access === "write")).toEqual([]);
      rig.setBusMaster(true);
      await settled(rig, memory);
      rig.poll();
      expect(rig.messages.map(({ opcode }) => opcode)).toEqual([OP.VERSION]);
    });
  });

  describe("transmit", () => {
    test("frames leave in order, and the interrupt comes after the write-back", async () => {
      const rig = startedRig();
      const memory = withoutFile(rig);
      rig.signals.length = 0;
      const frames = [60, 500, 1400].map((size, index) => outward(size, index + 1));
      for (const [index, frame] of frames.entries()) rig.putTx(0, index, frame);
      memory.hold = true;
      rig.write(txTail(0), frames.length);
      for (let round = 0; round < 20 && !sentBack(rig, 0); round++) {
        await settled(rig, memory);
        expect(rig.signals[1] ?? 0).toBe(0);
        memory.release();
        await Promise.resolve();
      }
      memory.hold = false;
      memory.release();
      await settled(rig, memory);
      expect(rig.port.sent).toEqual(frames);
      expect([0, 1, 2, 3].map((index) => sentBack(rig, index))).toEqual([true, true, true, false]);
      expect(rig.signals[1]).toBeGreaterThan(0);
    });

    test("a frame of several buffers is gathered", async () => {
      const rig = startedRig();
      const memory = withoutFile(rig);
      const frame = outward(1000, 7);
      rig.putTx(0, 0, frame.subarray(0, 14), 0);
      rig.putTx(0, 1, frame.subarray(14, 600), 0);
      rig.putTx(0, 2, frame.subarray(600));
      rig.write(txTail(0), 3);
      await settled(rig, memory);
      expect(rig.port.sent).toEqual([frame]);
    });

    test("what stood before a packet that breaks the rules is still reported", async () => {
      const rig = startedRig();
      const memory = withoutFile(rig);
      rig.putTx(0, 0, outward(60));
      rig.putTx(0, 1, new Uint8Array(10));
      rig.write(txTail(0), 2);
      await settled(rig, memory);
      expect(rig.model.truth.maliciousEvents).toBe(1);
      expect(rig.port.sent.length).toBe(1);
      expect([sentBack(rig, 0), sentBack(rig, 1)]).toEqual([true, false]);
    });

    test("a packet whose buffer the client refuses stops its queue and no other", async () => {
      const rig = startedRig(2);
      const memory = withoutFile(rig);
      memory.refuse = ({ at }) => at === rig.txBuffer(0, 0);
      for (const queue of [0, 1]) rig.putTx(queue, 0, outward(60, queue));
      for (const queue of [0, 1]) rig.write(txTail(queue), 1);
      await settled(rig, memory);
      expect(rig.port.sent).toEqual([outward(60, 1)]);
      expect(sentBack(rig, 0)).toBe(false);
      expect(rig.model.truth.dmaFaults).toBe(1);
    });

    test("queues that are always busy have their turn one after the other", async () => {
      const rig = startedRig(2);
      const memory = withoutFile(rig);
      for (const queue of [0, 1]) {
        for (let index = 0; index < 8; index++) rig.putTx(queue, index, outward(60, queue));
        rig.write(txTail(queue), 8);
      }
      await settled(rig, memory);
      const order = rig.port.sent.map((frame) => must(frame[20]));
      expect(order.length).toBe(16);
      expect(order.slice(0, 4)).toEqual([0, 1, 0, 1]);
    });

    test("a queue that is stopped meanwhile sends and reports nothing more", async () => {
      const rig = startedRig();
      const memory = withoutFile(rig, 0x80000);
      memory.hold = true;
      rig.putTx(0, 0, outward(60));
      rig.write(txTail(0), 1);
      await settled(rig, memory);
      expect(memory.pending).toBe(1);
      rig.answer(OP.DISABLE_QUEUES, rig.select(1));
      memory.hold = false;
      memory.release();
      await settled(rig, memory);
      expect(rig.port.sent).toEqual([]);
      expect(memory.log.filter(({ access }) => access === "write")).toEqual([]);
    });
  });

  describe("receive", () => {
    test("a frame is in memory before its descriptor, and the interrupt comes last", async () => {
      const rig = startedRig();
      const memory = withoutFile(rig);
      rig.signals.length = 0;
      memory.hold = true;
      expect(rig.port.deliver(inward(100))).toBe("accepted");
      const steps: string[] = [];
      for (let step = 0; step < 3; step++) {
        await settled(rig, memory);
        const { access, length } = must(memory.log.at(-1));
        steps.push(`${access} ${length}`);
        expect(rig.signals[1] ?? 0).toBe(0);
        memory.release();
      }
      await settled(rig, memory);
      const posted = 56 * RX_DESCRIPTOR_SIZE;
      expect(steps).toEqual([`read ${posted}`, "write 100", `write ${RX_DESCRIPTOR_SIZE}`]);
      expect(received(rig, 0)).toEqual(inward(100));
      expect(rig.signals[1]).toBe(1);
    });

    test("takes as many frames as descriptors are posted, and keeps their order", async () => {
      const rig = startedRig();
      const memory = withoutFile(rig);
      memory.hold = true;
      const verdicts = Array.from({ length: 60 }, (_, n) => rig.port.deliver(inward(60 + n, n)));
      expect(verdicts.filter((verdict) => verdict === "accepted").length).toBe(56);
      expect(verdicts.slice(56)).toEqual(Array(4).fill("no-descriptor"));
      memory.hold = false;
      memory.release();
      await settled(rig, memory);
      for (let n = 0; n < 56; n++) expect(received(rig, n)).toEqual(inward(60 + n, n));
    });

    test("a frame whose rest waits for descriptors goes on when they come", async () => {
      const rig = startedRig(1, {}, RING, 1024);
      const memory = withoutFile(rig);
      for (let n = 0; n < 55; n++) rig.port.deliver(inward(100));
      const long = inward(2500, 9);
      expect(rig.port.deliver(long)).toBe("accepted");
      expect(rig.port.deliver(inward(100))).toBe("no-descriptor");
      await settled(rig, memory);
      rig.write(rxTail(0), 0);
      await settled(rig, memory);
      const parts = [55, 56, 57].flatMap((index) => [...received(rig, index)]);
      expect(new Uint8Array(parts)).toEqual(long);
    });

    test("a stop drops what is not in memory, and counts it", async () => {
      const rig = startedRig();
      const memory = withoutFile(rig, 0x80000);
      memory.hold = true;
      for (let n = 0; n < 3; n++) rig.port.deliver(inward(100));
      await settled(rig, memory);
      rig.answer(OP.DISABLE_QUEUES, rig.select(1));
      memory.hold = false;
      memory.log.length = 0;
      memory.release();
      await settled(rig, memory);
      expect(memory.log).toEqual([]);
      expect(rig.model.truth.partialDropped).toBe(3);
      expect(rig.rxBack(0, 0).low & DD).toBe(0);
    });

    test("a client that refuses stops the queue", async () => {
      const rig = startedRig();
      const memory = withoutFile(rig);
      memory.refuse = ({ access }) => access === "write";
      rig.port.deliver(inward(100));
      await settled(rig, memory);
      expect(rig.port.deliver(inward(100))).toBe("queue-disabled");
      expect(rig.model.truth).toMatchObject({ dmaFaults: 1, partialDropped: 1 });
    });

    test("without bus mastering a frame stays in the port until it is back", async () => {
      const rig = startedRig();
      const memory = withoutFile(rig);
      memory.hold = true;
      rig.port.deliver(inward(100));
      await settled(rig, memory);
      rig.setBusMaster(false);
      memory.hold = false;
      memory.release();
      await settled(rig, memory);
      expect(memory.log.filter(({ access }) => access === "write")).toEqual([]);
      rig.setBusMaster(true);
      await settled(rig, memory);
      expect(received(rig, 0)).toEqual(inward(100));
    });
  });

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

/** Maps the rig's memory, for tests that take its file away before the driver has begun. */
function newlyMapped(rig: Rig): Rig {
  rig.mapMemory();
  return rig;
}

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
