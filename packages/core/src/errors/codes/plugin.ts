/** Codes thrown by plugin; each is documented on the errors page and thrown somewhere (tested). */
export const pluginCodes = {} as const;
