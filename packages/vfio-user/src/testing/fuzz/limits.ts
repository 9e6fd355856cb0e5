/** What the fuzzed server allows; small, so that limits are met often. In bytes. */
export const LIMITS = { data: 65_536, bitmap: 16_384, struct: 8192, header: 16, fds: 16 } as const;
