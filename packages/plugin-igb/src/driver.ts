/** Name and version of this sub-driver; the version is that of the package. */
export const DRIVER = { name: "igb-vf", version: "0.1.0" } as const;
