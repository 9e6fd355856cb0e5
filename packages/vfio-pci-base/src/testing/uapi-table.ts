import {
  CONTAINER,
  DEVICE,
  GROUP,
  IOMMUFD,
  MIGRATION_DATA,
  type Command,
} from "../uapi/commands.ts";

/** By request: `ok` where it succeeded once, else the first errno. */
type Results = Readonly<Record<string, string>>;

/** What the whole-system tests asked of one real kernel; they write it. */
interface KernelRecord {
  /** As `uname -r` tells it. */
  readonly kernel: string;
  readonly date: string;
  readonly group: Results;
  readonly iommufd: Results;
}

/** By the guest's kernel: Debian's; one of ours with iommufd; the same with iommufd's self-test as its IOMMU. */
export type KernelRecords = Readonly<Record<"debian" | "iommufd" | "mock", KernelRecord>>;

/** Where requests are made. */
export interface Reached {
  /** By the conformance cases, on the fake kernel. */
  readonly fake: ReadonlySet<string>;
  readonly kernels: KernelRecords;
}

interface Row {
  readonly name: string;
  readonly value: string;
  readonly use: string;
}

const USES: Readonly<Record<string, string>> = {
  VFIO_GET_API_VERSION: "opening",
  VFIO_CHECK_EXTENSION: "opening: type1 v2",
  VFIO_SET_IOMMU: "opening",
  VFIO_IOMMU_GET_INFO: "IOVA windows, page size",
  VFIO_IOMMU_MAP_DMA: "`mapDma`",
  VFIO_IOMMU_UNMAP_DMA: "`unmapDma`",
  VFIO_GROUP_GET_STATUS: "opening: is the group viable",
  VFIO_GROUP_SET_CONTAINER: "opening",
  VFIO_GROUP_UNSET_CONTAINER: "closing",
  VFIO_GROUP_GET_DEVICE_FD: "opening, with VF token",
  VFIO_DEVICE_GET_INFO: "`info`",
  VFIO_DEVICE_GET_REGION_INFO: "`info`: sizes, sparse areas, MSI-X, types",
  VFIO_DEVICE_GET_IRQ_INFO: "`info`",
  VFIO_DEVICE_SET_IRQS: "`setIrqs`, and the events ERR and REQ",
  VFIO_DEVICE_RESET: "`reset`",
  VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: "`hotResetInfo`",
  VFIO_DEVICE_PCI_HOT_RESET: "`hotReset`, and `reset` where there is nothing finer",
  VFIO_DEVICE_FEATURE: "the rows below",
  VFIO_DEVICE_BIND_IOMMUFD: "opening, with VF token",
  VFIO_DEVICE_ATTACH_IOMMUFD_PT: "opening",
  VFIO_DEVICE_DETACH_IOMMUFD_PT: "closing",
  VFIO_MIG_GET_PRECOPY_INFO: "`migration.precopyInfo`",
  IOMMU_DESTROY: "closing",
  IOMMU_IOAS_ALLOC: "opening",
  IOMMU_IOAS_IOVA_RANGES: "IOVA windows, page size",
  IOMMU_IOAS_MAP: "`mapDma`",
  IOMMU_IOAS_UNMAP: "`unmapDma`",
  IOMMU_HWPT_ALLOC: "a page table that logs writes",
  IOMMU_GET_HW_INFO: "can the IOMMU log writes",
  IOMMU_HWPT_SET_DIRTY_TRACKING: "`iommuDirty.start`, `stop`",
  IOMMU_HWPT_GET_DIRTY_BITMAP: "`iommuDirty.report`",
};

const FEATURES: readonly (readonly [id: number, direction: string, name: string, use: string])[] = [
  [0, "set", "PCI_VF_TOKEN", "`setVfToken` on a PF"],
  [1, "get", "MIGRATION", "is there a variant driver's migration"],
  [2, "get", "MIG_DEVICE_STATE", "the state, read back after a failure"],
  [2, "set", "MIG_DEVICE_STATE", "`migration.setState`"],
  [3, "set", "LOW_POWER_ENTRY", "`lowPower.enter`"],
  [4, "set", "LOW_POWER_ENTRY_WITH_WAKEUP", "`lowPower.enter` with an eventfd"],
  [5, "set", "LOW_POWER_EXIT", "`lowPower.exit`"],
  [6, "set", "DMA_LOGGING_START", "`dmaLogging.start`"],
  [7, "set", "DMA_LOGGING_STOP", "`dmaLogging.stop`"],
  [8, "get", "DMA_LOGGING_REPORT", "`dmaLogging.report`"],
  [9, "get", "MIG_DATA_SIZE", "`migration.dataSize`"],
  [11, "get", "DMA_BUF", "`exportRegion`"],
  [12, "set", "MIG_PRECOPY_INFOv2", "opting in to the REINIT flag"],
];

/** Requests that no conformance case makes, and the unit test that does. */
const UNIT_ONLY: Readonly<Record<string, string>> = {
  VFIO_DEVICE_PCI_HOT_RESET: "device/vfio-pci-device.test.ts",
  "feature 0 set": "device/vfio-pci-device.test.ts",
  "feature 11 get": "device/vfio-pci-device.test.ts",
};

/** What the kernel has and this package leaves alone. */
const UNUSED: readonly (readonly [name: string, why: string])[] = [
  ["`VFIO_IOMMU_DIRTY_PAGES`", "type1 reports every pinned page as dirty, each time"],
  ["`VFIO_DEVICE_IOEVENTFD`", "an eventfd has no use for a doorbell whose value matters"],
  [
    "`IOMMU_IOAS_COPY`, `IOAS_MAP_FILE`, `IOAS_ALLOW_IOVAS`, `OPTION`, `VFIO_IOAS`",
    "one device has one address space of its own",
  ],
  [
    "PASID, `VIOMMU`, `VDEVICE`, `FAULT_QUEUE`, `HW_QUEUE`, nested page tables",
    "no IOMMU is shown to guests",
  ],
  ["`BUS_MASTER` (10), `ZPCI_ERROR` (13), graphics", "CDX and s390 devices, and displays"],
];

/** The README's table of requests, with where each is made and what came of it. */
export function uapiTable({ fake, kernels }: Reached): string {
  const { debian, iommufd, mock } = kernels;
  const lines = rows().map(({ name, value, use }) => {
    const cells = [
      `\`${name}\``,
      value,
      use,
      fake.has(name) ? "cases" : name in UNIT_ONLY ? "a unit test" : "-",
      outcome(debian.group[name]),
      iommufd.iommufd[name] === "ok" || mock.iommufd[name] !== "ok"
        ? outcome(iommufd.iommufd[name])
        : "ok, on its self-test's IOMMU",
    ];
    return `| ${cells.join(" | ")} |`;
  });
  const guest = ({ kernel, date }: KernelRecord, way: string): string =>
    `Guest with ${kernel}, ${way}, ${date}`;
  return [
    `| Request | Number or name | Used for | Fake kernel | ${guest(debian, "by group")} | ${guest(iommufd, "by iommufd")} |`,
    "| --- | --- | --- | --- | --- | --- |",
    ...lines,
    "",
    "| Left alone | Why |",
    "| --- | --- |",
    ...UNUSED.map(([name, why]) => `| ${name} | ${why} |`),
  ].join("\n");
}

function rows(): readonly Row[] {
  const commands: readonly Command[] = [CONTAINER, GROUP, DEVICE, MIGRATION_DATA, IOMMUFD].flatMap(
    (table) => Object.values<Command>(table),
  );
  return [
    ...commands.map(({ name, number }) => ({
      name,
      value: `0x${number.toString(16)}`,
      use: USES[name] ?? "",
    })),
    ...FEATURES.map(([id, direction, name, use]) => ({
      name: `feature ${id} ${direction}`,
      value: name,
      use,
    })),
  ];
}

function outcome(result: string | undefined): string {
  if (result === undefined) return "-";
  return result === "ok" ? result : `refused: ${result}`;
}

/** Rows that no test reaches or that nobody said the use of, and what was asked of a kernel without a row. */
export function uapiGaps({ fake, kernels }: Reached): readonly string[] {
  const known = rows();
  const names = new Set(known.map(({ name }) => name));
  const asked = Object.values(kernels).flatMap(({ group, iommufd }) =>
    Object.keys({ ...group, ...iommufd }),
  );
  return [
    ...known.flatMap(({ name, use }) =>
      use !== "" && (fake.has(name) || name in UNIT_ONLY) ? [] : [name],
    ),
    ...asked.filter((name) => !names.has(name)),
  ];
}
