/** Codes thrown by testkit; each is documented on the errors page and thrown somewhere (tested). */
export const testkitCodes = {} as const;
