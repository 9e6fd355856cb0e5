import type { MigrationFacet } from "@vfmig/core";
import type { VfioPciDevice } from "../device/vfio-pci-device.ts";
import { deepEqual, equal, ok, refuses } from "./checks.ts";
import type { ConformanceCase, ConformanceSubject } from "./subject.ts";

const migrates = ({ migration }: VfioPciDevice): string | undefined =>
  migration === undefined ? "its driver has no migration" : undefined;

const precopies = ({ migration }: VfioPciDevice): string | undefined =>
  migration?.capabilities.preCopy === true ? undefined : "its driver has no PRE_COPY";

async function withMigration(
  { open }: ConformanceSubject,
  run: (migration: MigrationFacet, device: VfioPciDevice) => Promise<void>,
): Promise<void> {
  await using device = await open();
  const { migration } = device;
  ok(migration !== undefined);
  await run(migration, device);
}

/** Reads to the end, `chunk` bytes at a time. */
async function readAll(migration: MigrationFacet, chunk: number): Promise<Uint8Array> {
  const parts: number[] = [];
  const into = new Uint8Array(chunk);
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- a stream
    const count = await migration.readData(into);
    if (count === 0) return Uint8Array.from(parts);
    parts.push(...into.subarray(0, count));
  }
}

async function writeAll(
  migration: MigrationFacet,
  bytes: Uint8Array,
  chunk: number,
): Promise<void> {
  for (let at = 0; at < bytes.length; at += chunk) {
    // oxlint-disable-next-line no-await-in-loop -- a stream
    await migration.writeData(bytes.slice(at, at + chunk));
  }
}

export const migrationCases: readonly ConformanceCase[] = [
  {
    id: "migration.there-and-back",
    title: "What a stopped device gives can be given back to it, in pieces of any size, twice",
    requires: migrates,
    run: (subject) =>
      withMigration(subject, async (migration) => {
        for (const chunk of [1, 4096]) {
          /* oxlint-disable no-await-in-loop -- a session after the other */
          await migration.setState("stop-copy");
          ok((await migration.dataSize()) >= 0);
          const state = await readAll(migration, chunk);
          ok(state.length > 0);
          equal(await migration.readData(new Uint8Array(1)), 0);
          await migration.setState("resuming");
          await writeAll(migration, state, chunk === 1 ? 4096 : 1);
          await migration.setState("running");
          /* oxlint-enable no-await-in-loop */
        }
      }),
  },
  {
    id: "migration.blocked",
    title: "The way from STOP_COPY to PRE_COPY is refused before the kernel sees it",
    requires: precopies,
    run: (subject) =>
      withMigration(subject, async (migration) => {
        await migration.setState("stop-copy");
        await refuses("ERR_VFMIG_MIGRATION_BLOCKED", () => migration.setState("pre-copy"));
        equal(migration.state, "stop-copy");
        ok((await readAll(migration, 64)).length > 0);
        await migration.setState("running");
      }),
  },
  {
    id: "migration.pre-copy",
    title: "PRE_COPY tells what it has, ends for now without an error, and goes on in STOP_COPY",
    requires: precopies,
    run: (subject) =>
      withMigration(subject, async (migration) => {
        await migration.setState("pre-copy");
        const before = await migration.precopyInfo();
        ok(before.initialBytes > 0);
        const early = await readAll(migration, 8);
        const after = await migration.precopyInfo();
        ok(after.initialBytes <= before.initialBytes);
        await migration.setState("stop-copy");
        await refuses("ERR_VFMIG_MIGRATION_SESSION", () => migration.precopyInfo());
        const rest = await readAll(migration, 8);
        await migration.setState("resuming");
        await migration.writeData(early);
        await migration.writeData(rest);
        await migration.setState("running");
      }),
  },
  {
    id: "migration.sessions",
    title: "Data can be read and written only in a session",
    requires: migrates,
    run: (subject) =>
      withMigration(subject, async (migration) => {
        const bytes = new Uint8Array(8);
        const refused = (run: () => unknown): Promise<unknown> =>
          refuses("ERR_VFMIG_MIGRATION_SESSION", run);
        await refused(() => migration.readData(bytes));
        await refused(() => migration.writeData(bytes));
        await refuses("ERR_VFMIG_MIGRATION_STATE", () => migration.setState("error"));
        await migration.setState("stop");
        await refused(() => migration.readData(bytes));
        await migration.setState("running");
      }),
  },
  {
    id: "migration.short",
    title: "A stream that is cut short cannot be committed, and a reset brings the device back",
    requires: migrates,
    run: (subject) =>
      withMigration(subject, async (migration, device) => {
        await migration.setState("stop-copy");
        const state = await readAll(migration, 4096);
        await migration.setState("resuming");
        await migration.writeData(state.slice(0, state.length - 1));
        let refused = false;
        await migration.setState("running").catch(() => (refused = true));
        ok(refused, "a short stream was committed");
        await device.reset();
        equal(migration.state, "running");
      }),
  },
  {
    id: "migration.poison",
    title: "After a refused write nothing can be committed, although a driver might take it",
    requires: migrates,
    run: (subject) =>
      withMigration(subject, async (migration, device) => {
        await migration.setState("resuming");
        const rubbish = new Uint8Array(4096).fill(0xee);
        let refused = false;
        for (let times = 0; !refused && times < 1024; times += 1) {
          // oxlint-disable-next-line no-await-in-loop -- until it is refused
          refused = await migration.writeData(rubbish).then(
            () => false,
            () => true,
          );
        }
        if (refused) {
          await refuses("ERR_VFMIG_MIGRATION_POISONED", () => migration.setState("running"));
          await refuses("ERR_VFMIG_MIGRATION_POISONED", () => migration.writeData(rubbish));
        }
        await device.reset();
        equal(migration.state, "running");
      }),
  },
  {
    id: "migration.reset",
    title: "A reset ends any session, and the next one works",
    requires: migrates,
    run: (subject) =>
      withMigration(subject, async (migration, device) => {
        const targets = ["stop-copy", "resuming"] as const;
        for (const target of targets) {
          /* oxlint-disable no-await-in-loop -- a session after the other */
          await migration.setState(target);
          await device.reset();
          equal(migration.state, "running");
          await refuses("ERR_VFMIG_MIGRATION_SESSION", () => migration.readData(new Uint8Array(4)));
          /* oxlint-enable no-await-in-loop */
        }
        await migration.setState("stop-copy");
        ok((await readAll(migration, 4096)).length > 0);
        await migration.setState("running");
      }),
  },
  {
    id: "dirty.device",
    title: "The device's log can be started, read and stopped; a second start is refused",
    requires: ({ dmaLogging }) => (dmaLogging === undefined ? "it keeps no log" : undefined),
    run: ({ open, io }) => logs(open, io, (device) => device.dmaLogging),
  },
  {
    id: "dirty.iommu",
    title: "The IOMMU's log can be started, read and stopped; a second start is refused",
    requires: ({ iommuDirty }) => (iommuDirty === undefined ? "its IOMMU keeps no log" : undefined),
    run: ({ open, io }) => logs(open, io, (device) => device.iommuDirty),
  },
];

async function logs(
  open: ConformanceSubject["open"],
  io: ConformanceSubject["io"],
  pick: (device: VfioPciDevice) => VfioPciDevice["dmaLogging"],
): Promise<void> {
  const fd = io.memfd("vfmig-conformance", 16 * 4096);
  using memory = io.mmap(fd, 16 * 4096);
  io.close(fd);
  await using device = await open();
  const log = pick(device);
  ok(log !== undefined);
  const range = { iova: 0x10_0000n, size: 16n * 4096n };
  await device.mapDma({ ...range, read: true, write: true, memory });
  const bitmap = new Uint8Array(8);
  await refuses("ERR_VFMIG_DMA_LOGGING_STATE", () => log.report(range, 4096, bitmap));
  ok((await log.start({ pageSize: 4096, ranges: [range] })) >= 4096);
  await refuses("ERR_VFMIG_DMA_LOGGING_STATE", () =>
    log.start({ pageSize: 4096, ranges: [range] }),
  );
  await log.report(range, 4096, bitmap);
  await refuses("ERR_VFMIG_DMA_LOGGING_REQUEST", () => log.report(range, 3000, bitmap));
  await log.stop();
  await log.stop();
  deepEqual(bitmap.subarray(2), new Uint8Array(6));
  await device.unmapDma(range);
}
