import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { basename, join } from "node:path";

/** Where the system's trees are; other places are for tests. */
export interface SystemRoots {
  /** Default `/sys`. */
  readonly sysfs?: string | undefined;
  /** Default `/dev`. */
  readonly dev?: string | undefined;
  /** Default `/proc`. */
  readonly proc?: string | undefined;
}

/** The last part of what the link at `path` points to; undefined where there is no link. */
export function linkName(path: string): string | undefined {
  try {
    return basename(readlinkSync(path));
  } catch {
    return undefined;
  }
}

/** An attribute's text without its newline; undefined where it cannot be read. */
export function attribute(folder: string, name: string): string | undefined {
  try {
    return readFileSync(join(folder, name), "utf8").trim();
  } catch {
    return undefined;
  }
}

/** An attribute that is a number, in the form that it has (`0x8086` or `2`). */
export function numberAttribute(folder: string, name: string): number | undefined {
  const text = attribute(folder, name);
  if (text === undefined || text === "") return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Names in a folder, sorted; none where there is no folder. */
export function names(folder: string): readonly string[] {
  try {
    return readdirSync(folder).toSorted();
  } catch {
    return [];
  }
}

export function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
