/** Codes thrown by iavf; each is documented on the errors page and thrown somewhere (tested). */
export const iavfCodes = {} as const;
