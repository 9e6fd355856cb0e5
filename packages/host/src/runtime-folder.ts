import { readFileSync, readlinkSync } from "node:fs";
import { lstat, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Logger } from "@vfmig/core";
import { socketError } from "./sockets/check-socket-path.ts";

/** Names of runs' folders: the prefix, and what `mkdtemp` adds. */
const PREFIX = "vfmig-";
const NAME = /^vfmig-[A-Za-z0-9]{6}$/u;
const OWNER = "owner.json";

/** Who a folder belongs to, so that no other process is ever taken for it. */
interface Owner {
  readonly pid: number;
  /** Ticks since boot (field 22 of `/proc/<pid>/stat`): process numbers are used again. */
  readonly started: string;
  readonly boot: string;
  /** Numbers count in one namespace only, and containers may share a temporary directory. */
  readonly pidNamespace: string;
}

/**
 * A new folder for one run's sockets, readable by its owner only. Folders of runs that were killed, and so
 * could not remove their own, are removed first.
 */
export async function makeRuntimeFolder(
  logger: Logger,
  parent: string = tmpdir(),
): Promise<string> {
  await sweepRuntimeFolders(logger, parent);
  const folder = await mkdtemp(join(parent, PREFIX)).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    const todo = "Set TMPDIR to a folder that is there and may be written to.";
    throw socketError("The folder of this run's sockets", parent, `${why}. ${todo}`, error);
  });
  const owner = ownerNow();
  if (owner !== undefined) await writeFile(join(folder, OWNER), JSON.stringify(owner));
  return folder;
}

/** Removes folders whose owner is certainly dead; whatever is doubtful stays. */
async function sweepRuntimeFolders(logger: Logger, parent: string): Promise<void> {
  const self = ownerNow();
  const names = await readdir(parent).catch(() => []);
  for (const name of names.filter((each) => NAME.test(each))) {
    const folder = join(parent, name);
    try {
      if (self === undefined || !(await isStale(folder, self))) continue;
      await rm(folder, { recursive: true, force: true });
      logger.info(`removed ${folder}, which a run left behind that was killed`, { folder });
    } catch (error) {
      logger.debug(`${folder} stays: it cannot be looked into or removed`, { folder, error });
    }
  }
}

async function isStale(folder: string, self: Owner): Promise<boolean> {
  const stats = await lstat(folder);
  if (!stats.isDirectory() || stats.uid !== process.getuid?.()) return false;
  const owner = parseOwner(await readFile(join(folder, OWNER), "utf8"));
  if (owner === undefined) return false;
  if (owner.boot !== self.boot) return true;
  return owner.pidNamespace === self.pidNamespace && startOf(owner.pid) !== owner.started;
}

/** This process; undefined where there is no `/proc` to tell. */
function ownerNow(): Owner | undefined {
  try {
    const started = startOf(process.pid);
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const pidNamespace = readlinkSync("/proc/self/ns/pid");
    return started === undefined ? undefined : { pid: process.pid, started, boot, pidNamespace };
  } catch {
    return undefined;
  }
}

/** When a process was started; undefined where there is none with that number. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The second field is the program's name, which may hold anything; behind it come fields 3 and on.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[22 - 3];
  } catch {
    return undefined;
  }
}

function parseOwner(text: string): Owner | undefined {
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null) return undefined;
  const { pid, started, boot, pidNamespace } = value as Partial<Record<keyof Owner, unknown>>;
  if (!Number.isSafeInteger(pid) || typeof started !== "string") return undefined;
  if (typeof boot !== "string" || typeof pidNamespace !== "string") return undefined;
  return { pid: Number(pid), started, boot, pidNamespace };
}
