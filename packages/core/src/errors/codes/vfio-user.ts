/** Codes thrown by vfio-user; each is documented on the errors page and thrown somewhere (tested). */
export const vfioUserCodes = {} as const;
