import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { command } from "../run/command.ts";
import type { AptArchive } from "./apt.ts";
import { ModuleTree } from "./modules.ts";

export type KernelSeries = "6.1" | "6.12";

export interface Kernel {
  readonly series: KernelSeries;
  /** As `uname -r` tells it. */
  readonly release: string;
  /** The bootable image. */
  readonly image: string;
  readonly modules: ModuleTree;
}

/** Parts of the module tree that tests may need; the whole is four times as large. */
const FOLDERS: readonly string[] = [
  "crypto",
  "drivers/dca",
  "drivers/i2c",
  "drivers/net",
  "drivers/pps",
  "drivers/ptp",
  "drivers/vfio",
  "drivers/virtio",
  "fs/9p",
  "fs/netfs",
  "lib",
  "net",
  "virt",
];

/** Fetches the kernel that Debian's metapackage names now. */
export async function fetchKernel(archive: AptArchive, folder: string): Promise<void> {
  const names = await archive.dependencies("linux-image-amd64");
  const name = names.find((candidate) => candidate.startsWith("linux-image-"));
  if (name === undefined) throw new Error(`linux-image-amd64 depends on ${names.join(", ")}`);
  const [file] = await archive.download(join(folder, "debs"), name);
  if (file === undefined) throw new Error(`no package came for ${name}`);
  const patterns = [
    "*/vmlinuz-*",
    "*/modules.builtin",
    ...FOLDERS.map((part) => `*/kernel/${part}/*`),
  ];
  const script = 'dpkg-deb --fsys-tarfile "$1" | { shift; tar -x --wildcards "$@"; }';
  await command("sh", ["-ec", script, "sh", file, "-C", folder, ...patterns]);
  await rm(join(folder, "debs"), { recursive: true });
}

/** Opens what {@link fetchKernel} left in a folder. */
export async function openKernel(series: KernelSeries, folder: string): Promise<Kernel> {
  const images = await readdir(join(folder, "boot"));
  const image = images.find((name) => name.startsWith("vmlinuz-"));
  if (image === undefined) throw new Error(`no kernel image in ${folder}/boot; remove the folder`);
  const release = image.slice("vmlinuz-".length);
  return {
    series,
    release,
    image: join(folder, "boot", image),
    modules: await ModuleTree.open(folder),
  };
}
