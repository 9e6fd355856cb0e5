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
} as const;
