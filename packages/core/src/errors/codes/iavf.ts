/** Codes thrown by iavf; each is documented on the errors page and thrown somewhere (tested). */
export const iavfCodes = {
  ERR_VFMIG_VIRTCHNL_BODY: {
    means: "A virtchnl message has a length, count or value that the protocol does not allow.",
    remedy: "Look at the details; if the sender is the guest's driver, the PF would refuse it too.",
  },
  ERR_VFMIG_PF_SILENT: {
    means: "The host's PF driver did not answer a request that was made for the VF.",
    remedy: "Check the PF driver on this host and its log; the VF may be in reset.",
  },
  ERR_VFMIG_PF_REFUSED: {
    means: "The host's PF driver refused a request that was made for the VF.",
    remedy: "Give the VF on this host what the other one had: queues, MAC addresses, VLANs, trust.",
  },
  ERR_VFMIG_VF_LAYOUT: {
    means:
      "The device does not have the register layout of the virtual function that the plugin drives.",
    remedy: "Name a plugin that drives this device; the PF's firmware decides the layout.",
  },
  ERR_VFMIG_VF_NOT_READY: {
    means: "The virtual function did not come out of reset.",
    remedy: "Check the PF driver on this host and its log, then try again.",
  },
  ERR_VFMIG_VF_STATE: {
    means: "A saved virtual function lacks a record or contradicts itself.",
    remedy: "Do not load this stream; save the device again.",
  },
  ERR_VFMIG_VF_GRANTS_LESS: {
    means: "The host's PF grants the virtual function less than its guest was given elsewhere.",
    remedy: "Give the VF on this host as much, or choose another host; the source can go on.",
  },
  ERR_VFMIG_VF_FEATURE: {
    means:
      "The guest uses a feature of the virtual function that cannot be carried to another host.",
    remedy: "Stop using the feature in the guest and reload its driver, then migrate.",
  },
  ERR_VFMIG_VF_POSITION: {
    means:
      "The rings of a queue pair that runs do not say where its guest is, so that the pair cannot be put on private rings.",
    remedy:
      'Look at the details. A guest whose driver does not ask for a report of every frame can only move with the option shadow: "always".',
  },
} as const;
