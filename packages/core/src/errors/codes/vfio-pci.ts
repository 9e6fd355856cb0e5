/** Codes thrown by vfio-pci-base; each is documented on the errors page and thrown somewhere (tested). */
export const vfioPciCodes = {
  ERR_VFMIG_VFIO_ADDRESS: {
    means: "No device of this machine has the given PCI address or mediated device's UUID.",
    remedy: "Use an address that `vfmig devices` lists, such as 0000:3b:02.0.",
  },
  ERR_VFMIG_VFIO_NOT_BOUND: {
    means: "The device belongs to a driver of the host, so that no user can have it.",
    remedy: "Give it to vfio-pci with `vfmig bind <address>`; the host loses it until unbind.",
  },
  ERR_VFMIG_VFIO_NO_IOMMU_GROUP: {
    means: "The device is in no IOMMU group, so that nothing would keep its DMA inside the guest.",
    remedy:
      "Switch on the IOMMU in the firmware, and on the kernel's command line (intel_iommu=on), then reboot.",
  },
  ERR_VFMIG_VFIO_GROUP_NOT_VIABLE: {
    means: "Another device of the same IOMMU group is still used by a driver of the host.",
    remedy:
      "Bind every device of the group that the message lists to vfio-pci, or to no driver at all.",
  },
  ERR_VFMIG_VFIO_BUSY: {
    means: "The device or its group is open in another process.",
    remedy: "End the process that the message names, or whatever else uses the device, then retry.",
  },
  ERR_VFMIG_VFIO_PERMISSION: {
    means: "The kernel's VFIO files cannot be opened by this user.",
    remedy: "Run the host as root, or give its user the rights to the file that the message names.",
  },
  ERR_VFMIG_VFIO_PATH: {
    means: "The kernel does not offer the way to the device that was asked for.",
    remedy:
      'Load the vfio modules (modprobe vfio-pci), or set the option path to "auto" to take what is there.',
  },
  ERR_VFMIG_VFIO_TOKEN: {
    means: "The device is protected by a VF token, and the right one was not given.",
    remedy: "Set the option vfToken to the UUID with which the owner of the PF protects its VFs.",
  },
  ERR_VFMIG_VFIO_UNSUPPORTED: {
    means: "The kernel or the device's driver does not know this request.",
    remedy: "Look at `vfmig devices --json` for what the device offers, or use a newer kernel.",
  },
  ERR_VFMIG_VFIO_ANSWER: {
    means: "The kernel answered with something that the VFIO interface does not allow.",
    remedy: "Report it to the maintainers of the kernel driver that the message names.",
  },
  ERR_VFMIG_VFIO_GONE: {
    means: "The device was taken away: unplugged, or unbound from its driver.",
    remedy: "Close the device; bind and open it again once it is back.",
  },
  ERR_VFMIG_VFIO_CALL: {
    means: "A request to the kernel's VFIO failed; the error names the request and the errno.",
    remedy: "Look at `details.errno` and at the kernel's log (dmesg) for its reason.",
  },
  ERR_VFMIG_VFIO_GRANT: {
    means: "What the host opened for this device's process is not what it needs.",
    remedy:
      "Use the same version of vfmig and of the base in the host and in its device processes.",
  },
  ERR_VFMIG_VFIO_MEMLOCK: {
    means: "Guest memory could not be pinned for DMA: the limit of locked memory is too low.",
    remedy:
      "Let the host raise it (it needs CAP_SYS_RESOURCE), or set LimitMEMLOCK=infinity or ulimit -l unlimited.",
  },
  ERR_VFMIG_VFIO_BIND: {
    means: "A device could not be given to another driver; it was put back where it was.",
    remedy: "See the reason in the message, and the kernel's log (dmesg).",
  },
} as const;
