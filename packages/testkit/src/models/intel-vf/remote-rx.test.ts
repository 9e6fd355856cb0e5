import { RX_DESCRIPTOR_SIZE, VIRTCHNL_OP as OP, rxTail } from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { must } from "./testing/frames.ts";
import { VF_KINDS, rigsOf } from "./testing/rig.ts";
import { DD, RING, settled, withoutFile } from "./testing/remote-memory.ts";
import { inward, received } from "./testing/plain-frames.ts";

describe.each(VF_KINDS)("%s, guest memory that came without a file", (kind) => {
  const { startedRig } = rigsOf(kind);

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
});
