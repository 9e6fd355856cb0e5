import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { FAMILIES } from "./rig/family.ts";
import { facets } from "./rig/move.ts";
import type { SavedDevice } from "./rig/saved.ts";
import { World } from "./rig/world.ts";

const folder = new URL("fixtures/", import.meta.url);

/** Saved devices of every version so far; recorded by fixtures/record.ts. */
const recorded = readdirSync(folder)
  .filter((name) => name.endsWith(".json"))
  .map((name) => {
    const [family, , version] = name.replace(".json", "").split("-");
    return { name, family, version: Number(version) };
  });

function read(name: string): SavedDevice {
  return JSON.parse(readFileSync(new URL(name, folder), "utf8")) as SavedDevice;
}

describe.each(FAMILIES)("$name", (family) => {
  const mine = recorded.filter((it) => it.family === family.name);

  test("has a saved device of each version that it reads", () => {
    expect(mine.map(({ version }) => version)).toEqual(family.plugin.state?.reads);
  });

  test.each(mine)("takes a device that was saved long ago: $name", async ({ name }) => {
    const { stream, settings } = read(name);
    const world = await World.create({ family, start: false, models: [{ trusted: true }] });
    const { migration } = facets(world.host.device);
    await world.settle(migration.setState("resuming"));
    await world.settle(migration.writeData(Buffer.from(stream, "hex")));
    await world.settle(migration.setState("stop"));
    await world.settle(migration.setState("running"));
    expect(world.host.model.truth.settings()).toEqual(settings);
    const { uses } = await world.settle(world.host.device.description.describe());
    expect(uses["capabilities"]).toContain("RSS_PF");
    await world.close();
  });
});
