import { conformanceCases } from "../inside/base-subject.ts";
import type { BedCase } from "../inside/bed-case.ts";
import { DEVICES } from "../inside/devices.ts";
import { MTTY_EXCEPTIONS } from "../inside/mtty.ts";

const PATH = "iommufd";

export const cases: readonly BedCase[] = [
  ...conformanceCases("a VF", { device: { address: DEVICES.vfs[0] }, path: PATH }),
  ...conformanceCases(
    "an mtty",
    { device: { uuid: DEVICES.mdevs[0] }, path: PATH },
    MTTY_EXCEPTIONS,
  ),
];
