/** Codes thrown by device; each is documented on the errors page and thrown somewhere (tested). */
export const deviceCodes = {
  ERR_VFMIG_REGION_INDEX: {
    means: "An access named a region that the device does not have.",
    remedy: "Use only the region indexes that the device's information lists.",
  },
  ERR_VFMIG_REGION_RANGE: {
    means: "An access lies outside its region, or its offset is no whole number of bytes.",
    remedy: "Keep offset and length inside the size that the region's information gives.",
  },
  ERR_VFMIG_REGION_ACCESS: {
    means: "A region was read or written that does not allow it.",
    remedy: "Check the region's read and write flags before the access.",
  },
  ERR_VFMIG_IRQ_REQUEST: {
    means: "A request to set interrupts breaks the rules of VFIO_DEVICE_SET_IRQS.",
    remedy: "Correct the field that the message names; no interrupt was changed.",
  },
  ERR_VFMIG_IRQ_INTERCEPT: {
    means: "A sub-driver asked for a vector that it cannot have.",
    remedy: "Intercept an existing, message-signalled vector, once.",
  },
  ERR_VFMIG_DMA_MAP: {
    means: "A DMA mapping is not acceptable, or overlaps another one.",
    remedy: "Correct what the message names; no mapping was changed.",
  },
  ERR_VFMIG_DMA_UNMAP: {
    means: "A range to unmap is not exactly one existing mapping.",
    remedy: "Unmap with the same address and size with which the mapping was made.",
  },
  ERR_VFMIG_DMA_ALLOCATE: {
    means: "No private memory could be given to a sub-driver.",
    remedy: "Check the size and the addresses that the base can reach, as the message says.",
  },
  ERR_VFMIG_GUEST_ADDRESS: {
    means: "An address that the guest gave does not lie in its mapped memory.",
    remedy:
      "The guest's driver is at fault, or memory without a file stands there (see the message).",
  },
  ERR_VFMIG_MAPPING_REFUSED: {
    means: "An area of a region is not mappable under the layout now in force.",
    remedy: "Read the region's information again and map only what it lists.",
  },
  ERR_VFMIG_MAPPING_CONFLICT: {
    means: "A live mapping of a region lies where accesses must be seen while saving.",
    remedy: "Unmap the area that the message names, then ask again; nothing has changed.",
  },
  ERR_VFMIG_TRAP_REQUEST: {
    means: "A sub-driver asked to trap or untrap ranges that it may not, or not now.",
    remedy: "Report the reason in the message to the sub-driver's maker; nothing has changed.",
  },
  ERR_VFMIG_TRAP_TIMEOUT: {
    means: "A user of the device did not let go of pages that its sub-driver wants to trap.",
    remedy: "The user must fetch the region information when its layout irq fires, and unmap.",
  },
  ERR_VFMIG_REGION_WAITS: {
    means: "An access to a region that may have to wait came from a caller that cannot.",
    remedy: "Use the region's asynchronous accesses, or reach it through a vfio-user server.",
  },
  ERR_VFMIG_DMA_LOGGING_REQUEST: {
    means: "A request to the log of device writes has a bad page size, range or bitmap.",
    remedy: "Correct the argument that the message names.",
  },
  ERR_VFMIG_DIRTY_SOURCE: {
    means: "Dirty pages are wanted from a source that this device does not have.",
    remedy: "Take it out of dirtySources, or use a base, device or IOMMU that keeps such a log.",
  },
  ERR_VFMIG_DMA_LOGGING_STATE: {
    means: "The log of device writes is already on, or is not on.",
    remedy: "Start it once, read it, stop it.",
  },
  ERR_VFMIG_SUB_DRIVER_FAILED: {
    means: "A sub-driver threw an error of its own.",
    remedy:
      "See the cause and report it to the sub-driver's maker; the base device is not at fault.",
  },
  ERR_VFMIG_SUB_DRIVER_TIMEOUT: {
    means: "A sub-driver did not answer within the time limit.",
    remedy: "Report the call that the message names to the sub-driver's maker.",
  },
  ERR_VFMIG_SUB_DRIVER_ANSWER: {
    means: "A sub-driver answered with something that its interface does not allow.",
    remedy: "Report the answer that the message shows to the sub-driver's maker.",
  },
  ERR_VFMIG_BASE_FAILED: {
    means: "The base device beneath the sub-driver failed.",
    remedy: "See the cause; the same call on the base alone should fail as well.",
  },
  ERR_VFMIG_BASE_TIMEOUT: {
    means: "The base device did not answer a call within its limit.",
    remedy: "Look why the base is stuck (its log, the kernel's); reset or close the device.",
  },
  ERR_VFMIG_DEVICE_RESET: {
    means: "The device could not be reset.",
    remedy: "See the cause; close the device and open it again.",
  },
  ERR_VFMIG_DEVICE_CLOSED: {
    means: "A call reached a device that was closed.",
    remedy: "Open the device again; keep no reference to a closed one.",
  },
  ERR_VFMIG_DEVICE_CLOSE: {
    means: "Some step failed while the device was closed; the other steps were done.",
    remedy: "See the causes; the device is closed all the same.",
  },
  ERR_VFMIG_REPLACE_SHAPE: {
    means: "A device cannot take another's place: a guest that runs would see that it is another.",
    remedy: "Open a device with the regions, vectors and configuration space of the one in use.",
  },
  ERR_VFMIG_REPLACE_BUSY: {
    means:
      "A device cannot be replaced now: it, or the other one, cannot migrate, or is already about something else.",
    remedy: "Do what the message names, such as ending a migration or a log, and ask again.",
  },
  ERR_VFMIG_REPLACE_FAILED: {
    means: "A device could not take another's place; the one before it goes on.",
    remedy: "Read the cause; the message names the step.",
  },
  ERR_VFMIG_REPLACE_WAITING: {
    means:
      "A region was accessed at once while its device was being replaced, when accesses have to wait.",
    remedy: "Use the regions of asyncRegions while it is there, or hold the guest meanwhile.",
  },
} as const;
