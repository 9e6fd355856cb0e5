import { readdir, readFile, readlink } from "node:fs/promises";

/** What a device's process holds open and mapped, as far as a client can have caused it. */
export interface Held {
  readonly eventfds: number;
  readonly sockets: number;
  /** Files in memory, but for a plugin's own. */
  readonly memoryFiles: number;
  /** Mappings of such files. */
  readonly mapped: number;
}

/** A plugin keeps what it once needed for rings of its own. */
const PLUGINS_OWN = "/memfd:vfmig-private";

export async function heldBy(pid: number): Promise<Held> {
  const fds = await readdir(`/proc/${pid}/fd`);
  // One that was just closed has no target any more.
  const links = fds.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => ""));
  const targets = await Promise.all(links);
  const open = (kind: string): number => targets.filter((target) => target.startsWith(kind)).length;
  const maps = (await readFile(`/proc/${pid}/maps`, "utf8")).split("\n");
  const mapped = (kind: string): number => maps.filter((line) => line.includes(kind)).length;
  return {
    eventfds: open("anon_inode:[eventfd]"),
    sockets: open("socket:"),
    memoryFiles: open("/memfd:") - open(PLUGINS_OWN),
    mapped: mapped("/memfd:") - mapped(PLUGINS_OWN),
  };
}
