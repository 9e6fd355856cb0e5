import { expect, it } from "vitest";
import type { MigrationFacet } from "../migration/migration-facet.ts";
import { codeOf } from "../testing/composed.ts";
import { FakeBase } from "../testing/fake-base.ts";
import { FakeSubDriver } from "../testing/fake-sub-driver.ts";
import { compose } from "./compose.ts";
import { refuseSecondMigration } from "./one-migration.ts";

const facet: MigrationFacet = {
  capabilities: { p2p: false, preCopy: false },
  state: "running",
  setState: () => Promise.resolve(),
  readData: () => Promise.resolve(0),
  writeData: () => Promise.resolve(),
  dataSize: () => Promise.resolve(0),
  precopyInfo: () => Promise.resolve({ initialBytes: 0, dirtyBytes: 0, reinit: false }),
};

const migrating = (): FakeBase => Object.assign(new FakeBase(), { migration: facet });

it("refuses a sub-driver with migration on a base with migration, and attaches nothing", async () => {
  const { definition } = new FakeSubDriver();
  let attached = 0;
  const both = {
    ...definition,
    capabilities: { migration: ["stop-copy"] as const },
    attach: () => {
      attached += 1;
      throw new Error("must not be asked");
    },
  };
  expect(await codeOf(compose(migrating(), both))).toBe("ERR_VFMIG_PLUGIN_BASE_MIGRATES");
  expect(attached).toBe(0);
});

it("lets either of them alone migrate", () => {
  const name = "x";
  const migrates = { name, capabilities: { migration: ["stop-copy"] as const } };
  expect(() => refuseSecondMigration(new FakeBase(), migrates)).not.toThrow();
  expect(() => refuseSecondMigration(migrating(), { name, capabilities: {} })).not.toThrow();
});
