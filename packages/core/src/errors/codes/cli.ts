/** Codes thrown by cli; each is documented on the errors page and thrown somewhere (tested). */
export const cliCodes = {} as const;
