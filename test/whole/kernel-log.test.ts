import { expect, it } from "vitest";
import { complaints } from "../e2e/kernel/kernel-log.ts";

const QUIET = `
[    2.060167] iommu: DMA domain TLB invalidation policy: lazy mode
[    3.246998] pcieport 0000:00:03.0: AER: enabled with IRQ 25
[    8.061628] mtty: module verification failed: signature and/or required key missing - tainting kernel
[  522.881062] vfio-pci 0000:01:10.0: VF token required to access device
[  527.275327] vfio-pci 0000:01:10.0: Relaying device request to user (#0)`;

const LOUD = [
  "[   10.0] DMAR: [DMA Read NO_PASID] Request device [01:10.0] fault addr 0x1000 [fault reason 0x06] PTE Read access is not set",
  "[   11.0] WARNING: CPU: 0 PID: 71 at drivers/vfio/vfio_main.c:404 vfio_unregister_group_dev+0x10c/0x1a0",
  "[   12.0] BUG: kernel NULL pointer dereference, address: 0000000000000018",
  "[   13.0] vfio-pci 0000:01:10.0: timed out waiting for pending transaction; performing function level reset anyway",
  "[   14.0] INFO: task sh:212 blocked for more than 120 seconds.",
  "[   15.0] pcieport 0000:00:03.0: AER: Uncorrectable (Fatal) error message received from 0000:01:00.0",
];

it("What a guest's kernel complains of is found in its log, and what cases provoke is left out", () => {
  expect(complaints([QUIET, ...LOUD].join("\n"))).toEqual(LOUD);
});
