import { constants } from "node:os";

/** Errno numbers by name, as this system has them. */
export const ERRNO: Readonly<Record<string, number>> = constants.errno;

// Linux gives two names to some numbers; these are the ones that its manuals use.
const preferred = new Map<number, string>(
  ["EAGAIN", "EDEADLK", "EOPNOTSUPP"].map((name) => [ERRNO[name] ?? 0, name]),
);

const names = new Map<number, string>(
  Object.entries(ERRNO).map(([name, number]) => [number, preferred.get(number) ?? name]),
);

/** The name of errno `number`, such as `EPIPE` for 32; `errno 4711` where there is none. */
export function errnoName(number: number): string {
  return names.get(number) ?? `errno ${number}`;
}
