/** Codes thrown by host; each is documented on the errors page and thrown somewhere (tested). */
export const hostCodes = {} as const;
