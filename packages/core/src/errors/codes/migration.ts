/** Codes thrown by migration; each is documented on the errors page and thrown somewhere (tested). */
export const migrationCodes = {} as const;
