/** Codes thrown by shadow-queue; each is documented on the errors page and thrown somewhere (tested). */
export const shadowQueueCodes = {
  ERR_VFMIG_SHADOW_RING: {
    means: "A ring of the guest cannot be shadowed, because of its length, place or format.",
    remedy:
      "Look at the details; the guest's driver asked for a ring that the device would refuse.",
  },
  ERR_VFMIG_RING_POSITION: {
    means: "A position in a ring lies outside it.",
    remedy: "The state that named it is damaged or does not belong to this ring; do not load it.",
  },
} as const;
