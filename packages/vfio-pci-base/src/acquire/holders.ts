import { readlinkSync } from "node:fs";
import { join } from "node:path";
import { attribute, names, type SystemRoots } from "../sysfs/sysfs.ts";

/** A process that has a file open. */
export interface Holder {
  readonly pid: number;
  readonly command: string;
}

/** The processes that have one of `paths` open, as far as this process may look. */
export function holdersOf(
  paths: readonly string[],
  { proc = "/proc" }: SystemRoots,
): readonly Holder[] {
  return names(proc).flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    const fds = join(proc, entry, "fd");
    const holds = names(fds).some((fd) => paths.includes(target(join(fds, fd))));
    if (!holds) return [];
    return [{ pid: Number(entry), command: attribute(join(proc, entry), "comm") ?? "?" }];
  });
}

function target(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return "";
  }
}

/** `process 71 (qemu-system-x86)`, for messages; what to look for where nobody was found. */
export function describeHolders(holders: readonly Holder[]): string {
  if (holders.length === 0) return "a process that this user cannot see";
  return holders.map(({ pid, command }) => `process ${pid} (${command})`).join(", ");
}
