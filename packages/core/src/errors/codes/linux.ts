/** Codes thrown by linux; each is documented on the errors page and thrown somewhere (tested). */
export const linuxCodes = {} as const;
