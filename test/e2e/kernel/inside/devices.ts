/** PCI addresses and names of the bed's devices, as the guest's kernel gives them. */
export const DEVICES = {
  /** The PF of QEMU's igb (Intel 82576). Its driver is `igb`. */
  pf: "0000:01:00.0",
  /** Its VFs, each alone in its IOMMU group, bound to vfio-pci. */
  vfs: ["0000:01:10.0", "0000:01:10.2"],
  /** What is at the other end of the PF's cable: a bridge whose port `tap` a process can open. */
  lan: { mac: "02:00:00:00:00:02", tap: "lan0" },
  /** Two e1000 behind one bridge, so in one group; their driver is `e1000`. */
  sameGroup: ["0000:02:01.0", "0000:02:02.0"],
  /** An e1000e that the IOMMU does not translate for, so in no group; its driver is `e1000e`. */
  withoutGroup: "0000:41:00.0",
  /** Mediated devices of the kernel's sample driver `mtty`, with one serial port each. */
  mdevs: ["83b8f4f2-509f-382f-3c1e-e6bfe0fa1001", "83b8f4f2-509f-382f-3c1e-e6bfe0fa1002"],
} as const;
