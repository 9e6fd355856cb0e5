/** Codes thrown by iavf; each is documented on the errors page and thrown somewhere (tested). */
export const iavfCodes = {
  ERR_VFMIG_VIRTCHNL_BODY: {
    means: "A virtchnl message has a length, count or value that the protocol does not allow.",
    remedy: "Look at the details; if the sender is the guest's driver, the PF would refuse it too.",
  },
} as const;
