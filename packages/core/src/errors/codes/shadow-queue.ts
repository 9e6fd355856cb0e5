/** Codes thrown by shadow-queue; each is documented on the errors page and thrown somewhere (tested). */
export const shadowQueueCodes = {} as const;
