import { buildQueueConfig, IAVF_7_2_CAPS, VF_CAP, VIRTCHNL_OP } from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { E810 } from "./rig/family.ts";
import { move } from "./rig/move.ts";
import { RAM_IOVA, udp, World } from "./rig/world.ts";

describe("a guest with flexible Rx descriptors", () => {
  test.each([200, 1500])(
    "moves under frames of %i bytes, and the relay knows its pages",
    async (bytes) => {
      const world = await World.create({
        family: E810,
        driver: { capabilities: IAVF_7_2_CAPS, rxFormat: 2, vlans: [5], mtu: bytes },
      });
      for (let n = 0; n < 5; n++) {
        world.traffic(300, bytes);
        // oxlint-disable-next-line no-await-in-loop -- one move after the other
        const result = await move(world, 1 - world.at);
        expect(result.truth.difference(result.dirty)).toEqual(new Set());
        expect(result.forgotten).toEqual([]);
      }
      world.traffic(300, bytes);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      const { uses } = await world.settle(world.host.device.description.describe());
      expect(uses["rxFormats"]).toEqual([1, 2]);
      await world.close();
    },
  );

  test("gets no format that it was not granted", async () => {
    const world = await World.create({
      family: E810,
      models: [{ grantedCaps: (IAVF_7_2_CAPS & ~VF_CAP.RX_FLEX_DESC) >>> 0 }],
      driver: { capabilities: IAVF_7_2_CAPS },
    });
    const pair = {
      tx: {
        vsiId: 1,
        queue: 0,
        length: 64,
        headWriteBack: false,
        base: Number(RAM_IOVA),
        headAddress: 0,
      },
      rx: {
        vsiId: 1,
        queue: 0,
        length: 64,
        headerSize: 0,
        split: false,
        bufferSize: 2048,
        maxPacket: 1522,
        crcDisable: 0,
        rxdid: 2,
        flags: 0,
        base: Number(RAM_IOVA) + 0x1000,
        splitPosition: 0,
      },
    };
    const { status } = await world.settle(
      world.driver.ask(VIRTCHNL_OP.CONFIG_VSI_QUEUES, (vsiId) =>
        buildQueueConfig({ vsiId, pairs: [pair] }),
      ),
    );
    expect(status).toBe(-5);
    world.traffic(100);
    world.quiesce();
    expect(world.wrongs()).toEqual([]);
    await world.close();
  });

  test("moves with frames that fill several buffers", async () => {
    const world = await World.create({
      family: E810,
      driver: { capabilities: IAVF_7_2_CAPS, rxFormat: 2, mtu: 9000, ringSize: 64 },
    });
    let whole = 0;
    const long = udp(0x0b, 0x0a, 1, 8000);
    for (let host = 0; host < 2; host++) {
      for (let n = 0; n < 40; n++) {
        whole += world.host.port.deliver(long) === "accepted" ? 1 : 0;
        world.clock.advance(1);
      }
      // oxlint-disable-next-line no-await-in-loop -- one move after the other
      await move(world, 1 - world.at, { blackout: 0 });
    }
    world.quiesce();
    // The frames that move() sends besides are short.
    const { rxBytes, rxErrors } = world.driver.counters;
    expect(whole).toBe(80);
    expect(rxBytes).toBeGreaterThan(80 * 8000);
    expect(rxErrors).toBe(0);
    expect(world.wrongs()).toEqual([]);
    await world.close();
  });
});
