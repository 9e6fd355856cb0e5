import {
  AQ_DESCRIPTOR_SIZE,
  AQ_FLAG,
  AQ_LENGTH,
  ARQ_REGISTERS,
  ATQ_REGISTERS,
  VIRTCHNL_OP as OP,
  buildVersion,
} from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { must } from "./testing/frames.ts";
import { VF_KINDS, armMailbox, rigsOf, type Rig } from "./testing/rig.ts";
import { settled, withoutFile } from "./testing/remote-memory.ts";

/** Maps the rig's memory, for tests that take its file away before the driver has begun. */
function newlyMapped(rig: Rig): Rig {
  rig.mapMemory();
  return rig;
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
});
