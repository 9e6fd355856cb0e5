import { fileURLToPath } from "node:url";
import type { BedKind } from "./bed.ts";
import type { BedCase } from "./inside/bed-case.ts";

/** A file of cases that run in the guest, in a process of its own. */
export interface CaseFile {
  /** In the names of its cases. */
  readonly title: string;
  readonly path: string;
  /** The kernels that it runs on. */
  readonly kinds: readonly BedKind[];
  /** It belongs to the stage `host`, and not to that of its kernel: together they take too long. */
  readonly host?: boolean;
  /** Its cases need the mediated devices. */
  readonly mdevs?: boolean;
}

const at = (name: string): string => fileURLToPath(new URL(`cases/${name}`, import.meta.url));

/** In the order in which they run, all of a stage in one guest. */
export const CASE_FILES: readonly CaseFile[] = [
  { title: "uAPI", path: at("uapi-cases.ts"), kinds: ["debian", "iommufd"] },
  {
    title: "by its group",
    path: at("base-group-cases.ts"),
    kinds: ["debian", "iommufd"],
    mdevs: true,
  },
  { title: "wrong uses", path: at("wrong-use-cases.ts"), kinds: ["debian", "iommufd"] },
  {
    title: "mtty",
    path: at("mtty-move-cases.ts"),
    kinds: ["debian", "iommufd"],
    mdevs: true,
  },
  { title: "the IOMMU's log", path: at("iommu-dirty-cases.ts"), kinds: ["mock"] },
  { title: "by iommufd", path: at("base-iommufd-cases.ts"), kinds: ["iommufd"], mdevs: true },
  // Our own kernel has no network beyond its drivers.
  { title: "igb", path: at("igb-cases.ts"), kinds: ["debian"] },
  { title: "native speed", path: at("native-speed-cases.ts"), kinds: ["debian"] },
  { title: "native speed", path: at("native-plugin-cases.ts"), kinds: ["debian"] },
  { title: "commands", path: at("command-cases.ts"), kinds: ["debian"], host: true },
  { title: "igb", path: at("igb-mapped-cases.ts"), kinds: ["debian"], host: true },
  { title: "replaced", path: at("replaced-cases.ts"), kinds: ["debian"], host: true },
  { title: "given back", path: at("given-back-cases.ts"), kinds: ["iommufd"] },
  // Takes the NIC apart, and puts it together again.
  { title: "the NIC", path: at("nic-cases.ts"), kinds: ["debian", "iommufd"] },
];

/** The cases of a file; imported on the host for their names only. */
export async function casesOf(file: CaseFile): Promise<readonly BedCase[]> {
  return ((await import(file.path)) as { readonly cases: readonly BedCase[] }).cases;
}
