import type { VfSettings } from "@vfmig/testkit";
import {
  buildHena,
  buildMacList,
  buildPromiscuous,
  buildQueueSelect,
  buildRssConfig,
  buildVlanList,
  IAVF_7_2_CAPS,
  MAC_KIND,
  VIRTCHNL_OP,
} from "@vfmig/iavf";
import type { Family } from "./family.ts";
import { move } from "./move.ts";
import { World } from "./world.ts";

/** A device's state as it was once saved, and what a PF has to be told to take it. */
export interface SavedDevice {
  /** Hex digits of the stream. */
  readonly stream: string;
  /** What the source's PF had set up. */
  readonly settings: VfSettings;
}

/** A guest that uses much of its VF, saved in the middle of a question to its PF. */
export async function saveBusyDevice(family: Family): Promise<SavedDevice> {
  const model = { trusted: true, pfReplyDelayMs: 2 };
  const world = await World.create({
    family,
    models: [model, model],
    driver: {
      capabilities: IAVF_7_2_CAPS,
      ringSize: 64,
      vlans: [5, 6],
      multicast: ["01:00:5e:00:00:05"],
    },
  });
  await ask(world, VIRTCHNL_OP.ADD_ETH_ADDR, (vsiId) =>
    buildMacList({ vsiId, filters: [{ mac: "02:00:00:00:00:20", kind: MAC_KIND.EXTRA }] }),
  );
  await ask(world, VIRTCHNL_OP.ADD_VLAN, (vsiId) => buildVlanList({ vsiId, ids: [7] }));
  await ask(world, VIRTCHNL_OP.CONFIG_PROMISCUOUS_MODE, (vsiId) =>
    buildPromiscuous({ vsiId, flags: 2 }),
  );
  await ask(world, VIRTCHNL_OP.SET_RSS_HENA, () => buildHena(3n << 33n));
  await ask(world, VIRTCHNL_OP.ADD_RSS_CFG, () =>
    buildRssConfig({ tunnelLevel: 0, headers: [{ type: 4, fields: 3 }], algorithm: 0 }),
  );
  await ask(world, VIRTCHNL_OP.GET_STATS, (vsiId) =>
    buildQueueSelect({ vsiId, rxQueues: 0, txQueues: 0 }),
  );
  world.traffic(333);
  const settings = world.host.model.truth.settings();
  // One more, whose answer the source does not see.
  void world.driver.ask(VIRTCHNL_OP.GET_RSS_HENA_CAPS, () => new Uint8Array(0));
  world.clock.advance(20);
  const { state } = await move(world, 1, { blackout: 5 });
  await world.close();
  return { stream: Buffer.from(state).toString("hex"), settings };
}

async function ask(
  world: World,
  operation: number,
  body: (vsiId: number) => Uint8Array,
): Promise<void> {
  await world.settle(world.driver.ask(operation, body));
}
