/** Codes thrown by config; each is documented on the errors page and thrown somewhere (tested). */
export const configCodes = {} as const;
