/** Codes thrown by state; each is documented on the errors page and thrown somewhere (tested). */
export const stateCodes = {} as const;
