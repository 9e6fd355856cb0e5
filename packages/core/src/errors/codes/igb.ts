/** Codes thrown by plugin-igb; each is documented on the errors page and thrown somewhere (tested). */
export const igbCodes = {
  ERR_VFMIG_VF_MAC: {
    means: "The host's PF does not let its virtual function have the guest's MAC address.",
    remedy:
      "Set that address for the VF on this host, or trust it (ip link set PF vf N trust on); the source can go on.",
  },
} as const;
