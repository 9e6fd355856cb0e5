import { MIGRATION_STATE, type MigrationFacet, type MigrationState } from "@vfmig/core";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { refuses } from "../conformance/checks.ts";
import type { VfioPciDevice } from "../device/vfio-pci-device.ts";
import type { FakeFunction } from "../testing/fake-kernel/function.ts";
import { FakeMachine } from "../testing/fake-kernel/machine.ts";
import type { VariantSettings } from "../testing/fake-kernel/variant-driver.ts";
import { openOn, VF } from "../testing/rig.ts";

let machine: FakeMachine;

beforeEach(() => {
  machine = new FakeMachine();
});

afterEach(() => {
  machine.assertClosed();
  machine[Symbol.dispose]();
});

const add = (variant: VariantSettings): FakeFunction =>
  machine.add({ address: VF, group: 7, driver: "qat_vfio_pci", variant });

function migrationOf(device: VfioPciDevice): MigrationFacet {
  if (device.migration === undefined) throw new Error("the device has no migration");
  return device.migration;
}

const both = { p2p: true, preCopy: true };

describe("the migration of a variant driver", () => {
  it.each([
    [{ p2p: false, preCopy: false }],
    [{ p2p: true, preCopy: false }],
    [{ p2p: false, preCopy: true }],
    [both],
  ])("is offered with the driver's own capabilities: %o", async (capabilities) => {
    add(capabilities);
    await using device = await openOn(machine);
    expect(migrationOf(device).capabilities).toEqual(capabilities);
  });

  it("is walked in any order without the arc that locks up a kernel, and without a leak", async () => {
    add(both);
    await using device = await openOn(machine);
    const migration = migrationOf(device);
    const before = machine.openFds;
    const names = Object.keys(MIGRATION_STATE) as MigrationState[];
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...names), { maxLength: 12 }), async (targets) => {
        for (const target of targets) {
          // oxlint-disable-next-line no-await-in-loop -- one request after the other
          await migration.setState(target).catch(() => {});
          const session = ["stop-copy", "resuming", "pre-copy", "pre-copy-p2p"].includes(
            migration.state,
          );
          expect(machine.openFds - before).toBe(session ? 1 : 0);
        }
        await device.reset();
        expect([migration.state, machine.openFds]).toEqual(["running", before]);
      }),
      { numRuns: 60 },
    );
  });

  it("takes turns: requests that come at once are walked one after the other", async () => {
    add(both);
    await using device = await openOn(machine);
    const migration = migrationOf(device);
    await Promise.all(
      (["pre-copy", "stop-copy", "stop", "running"] as const).map((target) =>
        migration.setState(target),
      ),
    );
    expect(migration.state).toBe("running");
  });

  it.each([
    [true, "ERR_VFMIG_MIGRATION_LOST", "error"],
    [false, "ERR_VFMIG_VFIO_CALL", "stop"],
  ] as const)(
    "that fails on the way (lost: %s) says where the device is",
    async (lost, code, state) => {
      add({ ...both, fails: { at: "stop-copy", lost } });
      await using device = await openOn(machine);
      const migration = migrationOf(device);
      await refuses(code, () => migration.setState("stop-copy"));
      expect(migration.state).toBe(state);
      if (lost) await refuses("ERR_VFMIG_MIGRATION_LOST", () => migration.setState("running"));
      await device.reset();
      await migration.setState("stop");
      await migration.setState("running");
    },
  );

  it("hands out a descriptor too many: it is closed, and the driver is named", async () => {
    add({ ...both, strayFd: true });
    await using device = await openOn(machine);
    const before = machine.openFds;
    const error = await refuses("ERR_VFMIG_VFIO_ANSWER", () =>
      migrationOf(device).setState("stop"),
    );
    expect(error.message).toContain("second data descriptor");
    expect(machine.openFds).toBe(before);
  });

  it("is ended by a reset while a state change runs", async () => {
    add(both);
    await using device = await openOn(machine);
    const migration = migrationOf(device);
    const walking = migration.setState("stop-copy");
    await Promise.resolve();
    await device.reset();
    await walking.catch(() => {});
    await device.reset();
    expect(migration.state).toBe("running");
    expect(await migration.dataSize()).toBe(68);
  });

  it("keeps its descriptor open under a read that a reset has overtaken", async () => {
    add(both);
    await using device = await openOn(machine);
    const migration = migrationOf(device);
    await migration.setState("stop-copy");
    const before = machine.openFds;
    const reading = migration.readData(new Uint8Array(8));
    await device.reset();
    // The number is given back only when nobody can use it any more.
    const settled = await Promise.allSettled([reading]);
    expect(settled[0]).toMatchObject({ reason: { code: "ERR_VFMIG_VFIO_GONE" } });
    await Promise.resolve();
    expect(machine.openFds).toBe(before - 1);
  });

  it("is left in RUNNING for the next user, also where the driver hides that it can be reset", async () => {
    const fn = machine.add({
      address: VF,
      group: 7,
      driver: "mtty",
      functionReset: false,
      variant: both,
    });
    {
      await using device = await openOn(machine);
      expect(device.info.resettable).toBe(true);
      await migrationOf(device).setState("resuming");
      expect(fn.resets).toBe(0);
    }
    expect(fn.resets).toBe(1);
    await using again = await openOn(machine);
    expect(migrationOf(again).state).toBe("running");
  });

  it("commits nothing after a refused write, although the driver would", async () => {
    add({ ...both, mtty: true });
    await using device = await openOn(machine);
    const migration = migrationOf(device);
    await migration.setState("resuming");
    const wrong = new Uint8Array(68).fill(1);
    await refuses("ERR_VFMIG_VFIO_CALL", () => migration.writeData(wrong.subarray(0, 1)));
    await refuses("ERR_VFMIG_MIGRATION_POISONED", () => migration.writeData(wrong.subarray(1)));
    await refuses("ERR_VFMIG_MIGRATION_POISONED", () => migration.setState("stop"));
    await device.reset();
    await migration.setState("resuming");
    await migration.setState("resuming");
    await device.reset();
  });

  it("moves the state of one device to another", async () => {
    const source = add(both);
    const target = machine.add({
      address: "0000:01:10.2",
      group: 8,
      driver: "qat_vfio_pci",
      variant: both,
    });
    source.settings.regions[0]?.memory.fill(0xa5, 0, 64);
    await using from = await openOn(machine);
    await using to = await openOn(machine, { address: "0000:01:10.2" });
    await migrationOf(to).setState("resuming");
    await migrationOf(from).setState("pre-copy");
    const chunk = new Uint8Array(7);
    for (const state of ["pre-copy", "stop-copy"] as const) {
      /* oxlint-disable no-await-in-loop -- a stream */
      await migrationOf(from).setState(state);
      for (;;) {
        const count = await migrationOf(from).readData(chunk);
        if (count === 0) break;
        await migrationOf(to).writeData(chunk.slice(0, count));
      }
      /* oxlint-enable no-await-in-loop */
    }
    await migrationOf(to).setState("running");
    expect(target.settings.regions[0]?.memory.subarray(0, 65)).toEqual(
      Uint8Array.from({ length: 65 }, (_, i) => (i < 64 ? 0xa5 : 0)),
    );
  });
});
