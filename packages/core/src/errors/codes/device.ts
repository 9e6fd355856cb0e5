/** Codes thrown by device; each is documented on the errors page and thrown somewhere (tested). */
export const deviceCodes = {} as const;
