import { readFileSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeMachine, type DeviceSettings } from "../testing/fake-kernel/machine.ts";
import { openOn, subjectOn, UUID, VF, type RigOptions } from "../testing/rig.ts";
import { uapiGaps, uapiTable, type KernelRecords } from "../testing/uapi-table.ts";
import { CONFORMANCE } from "./index.ts";

interface Bed {
  readonly name: string;
  readonly machine: ConstructorParameters<typeof FakeMachine>[0];
  readonly device: DeviceSettings;
  readonly options: RigOptions;
}

const everything: DeviceSettings = {
  address: VF,
  group: 7,
  driver: "mlx5_vfio_pci",
  variant: { p2p: true, preCopy: true },
  logsWrites: true,
  lowPower: true,
  bus: [{ group: 7, devfn: 0x80, owned: true }],
};

const beds: readonly Bed[] = [
  { name: "a VF by its group", machine: {}, device: { address: VF, group: 7 }, options: {} },
  {
    name: "a VF by iommufd",
    machine: { iommufd: true, dirtyTracking: true },
    device: { address: VF, group: 7, lowPower: true },
    options: {},
  },
  { name: "a variant driver's device by its group", machine: {}, device: everything, options: {} },
  {
    name: "a variant driver's device by iommufd",
    machine: { iommufd: true },
    device: everything,
    options: {},
  },
  {
    name: "a mediated device",
    machine: {},
    device: {
      address: UUID,
      group: 9,
      driver: "mtty",
      variant: { p2p: true, preCopy: true, mtty: true },
    },
    options: { uuid: UUID },
  },
];

/** Requests that the cases made. */
const fake = new Set<string>();

describe.each(beds)("$name", ({ machine: settings, device, options }) => {
  let machine: FakeMachine;

  beforeEach(() => {
    machine = new FakeMachine(settings);
    machine.add(device);
  });

  afterEach(() => {
    for (const call of machine.trace.calls) fake.add(call);
    machine[Symbol.dispose]();
  });

  test.each(CONFORMANCE)("$id: $title", async (each) => {
    const subject = subjectOn(machine, options);
    if (each.requires !== undefined) {
      await using opened = await openOn(machine, options);
      if (each.requires(opened) !== undefined) return;
    }
    await each.run(subject);
    machine.assertClosed();
  });
});

const README = new URL("../../README.md", import.meta.url);
const BEGIN = "<!-- uapi: written by the tests (VFMIG_UPDATE=1) -->\n";
const END = "\n<!-- /uapi -->";

/** Written by the whole-system tests: VFMIG_UPDATE=1 npm run test:e2e -- --stage kernel --stage iommufd. */
const RECORDS = new URL("../testing/requests-on-kernels.json", import.meta.url);

test("The README's table says of each request where it is tried, and each one is", () => {
  const kernels = JSON.parse(readFileSync(RECORDS, "utf8")) as KernelRecords;
  const reached = { fake, kernels };
  expect(uapiGaps(reached)).toEqual([]);
  const text = readFileSync(README, "utf8");
  const [start, end] = [text.indexOf(BEGIN) + BEGIN.length, text.indexOf(END)];
  const table = uapiTable(reached);
  if (process.env["VFMIG_UPDATE"] !== undefined) {
    writeFileSync(README, text.slice(0, start) + table + text.slice(end));
    return;
  }
  expect(plain(text.slice(start, end))).toBe(plain(table));
});

/** A formatter may align the columns. */
function plain(table: string): string {
  return table.replaceAll(/ +\|/g, " |").replaceAll(/-+/g, "-");
}
