import { buildQuanta, IAVF_7_2_CAPS, VIRTCHNL_OP } from "@vfmig/iavf";
import type { UncarriedPolicy } from "@vfmig/iavf/vf";
import { describe, expect, test } from "vitest";
import { E810 } from "./rig/family.ts";
import { facets, move } from "./rig/move.ts";
import { World } from "./rig/world.ts";

/** A guest on a PF that grants quality of service, which no target could be made to repeat. */
async function guest(uncarried: UncarriedPolicy): Promise<World> {
  const world = await World.create({
    family: E810,
    models: [{ qos: true }, { qos: true }],
    driver: { capabilities: IAVF_7_2_CAPS },
    options: { uncarried },
  });
  world.traffic(100);
  return world;
}

async function useQuanta(world: World): Promise<number> {
  const body = buildQuanta({ quanta: 512, firstQueue: 0, queues: 1 });
  const { status } = await world.settle(world.driver.ask(VIRTCHNL_OP.CONFIG_QUANTA, () => body));
  return status;
}

const capabilities = async (world: World): Promise<unknown> =>
  (await world.settle(world.host.device.description.describe())).uses["capabilities"];

describe("a feature that cannot be carried", () => {
  test("is not there by default, whatever the PF grants and the guest tries", async () => {
    const world = await guest("hide");
    expect(await capabilities(world)).not.toContain("QOS");
    expect(await useQuanta(world)).toBe(-64);
    await move(world, 1);
    world.traffic(100);
    world.quiesce();
    expect(world.wrongs()).toEqual([]);
    await world.close();
  });

  test("is there where its use is refused, and a guest that does not use it moves", async () => {
    const world = await guest("refuse");
    expect(await capabilities(world)).toContain("QOS");
    await move(world, 1);
    world.traffic(100);
    world.quiesce();
    expect(world.wrongs()).toEqual([]);
    await world.close();
  });

  test("keeps a guest that used it where it is, by name and before anything stops", async () => {
    const world = await guest("refuse");
    expect(await useQuanta(world)).toBe(0);
    const source = await world.settle(world.hostAt(0).device.description.describe());
    const [reason] = await world.settle(world.hostAt(1).device.description.compare(source));
    expect(reason?.field).toBe("uses.quanta (CONFIG_QUANTA)");
    expect(world.host.device.migration?.state).toBe("running");
    world.traffic(100);
    world.quiesce();
    expect(world.wrongs()).toEqual([]);
    await world.close();
  });

  test("ends a save that nobody compared, and the guest goes on", async () => {
    const world = await guest("refuse");
    await useQuanta(world);
    const { migration } = facets(world.host.device);
    world.driver.pause();
    const save = async (): Promise<void> => {
      await migration.setState("stop-copy");
      await migration.readData(new Uint8Array(64 * 1024));
    };
    await expect(world.settle(save())).rejects.toMatchObject({ code: "ERR_VFMIG_VF_FEATURE" });
    await world.settle(migration.setState("running"));
    world.driver.resume();
    world.traffic(100);
    world.quiesce();
    expect(world.wrongs()).toEqual([]);
    await world.close();
  });

  test("is lost where the operator has agreed to it, and named as lost", async () => {
    const world = await guest("allow");
    await useQuanta(world);
    const { uses } = await world.settle(world.host.device.description.describe());
    expect(uses).toMatchObject({ uncarried: [], lost: ["quanta (CONFIG_QUANTA)"] });
    await move(world, 1);
    world.traffic(100);
    world.quiesce();
    expect(world.wrongs()).toEqual([]);
    await world.close();
  });
});
