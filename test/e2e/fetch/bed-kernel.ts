import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { command } from "../run/command.ts";
import { unpack, type AptArchive } from "./apt.ts";
import { make, type BuildTools } from "./build-tools.ts";
import { CannotFetch } from "./host-sources.ts";
import { fetchKernel, openKernel, type Kernel } from "./kernel.ts";
import type { KernelModule } from "./modules.ts";

/** A kernel with what is needed to build modules for it. */
export interface BedKernel {
  readonly kernel: Kernel;
  /** Where its packages of headers are unpacked. */
  readonly headers: string;
  /** The sample driver's source. */
  readonly mtty: string;
}

const MTTY = "samples/vfio-mdev/mtty.c";

/** Image, headers and source are fetched at once: an archive keeps only the newest of each. */
export async function fetchBedKernel(archive: AptArchive, folder: string): Promise<void> {
  await fetchKernel(archive, join(folder, "kernel"));
  const { release } = await openKernel("6.12", join(folder, "kernel"));
  const version = versionOf(release);
  const debs = join(folder, "debs");
  const parts = [`headers-${release}`, `headers-${version}-common`, `kbuild-${version}`];
  const packages = parts.map((part) => `linux-${part}`);
  await unpack(await archive.download(debs, ...packages), join(folder, "headers"));
  const [source] = await archive.download(debs, await sourcePackage(archive));
  if (source === undefined) throw new Error("no package of the kernel's source came");
  const script =
    'dpkg-deb --fsys-tarfile "$1" | tar -xO --wildcards "*.tar.xz" | tar -xJ --occurrence=1 --strip-components=3 --wildcards "*/$2"';
  const words = ["-c", `cd "$3" && { ${script}; test -s mtty.c; }`, "sh", source, MTTY, folder];
  await command("sh", words);
  await rm(debs, { recursive: true });
}

/** Name of the package that has the source of the archive's newest kernel. */
export async function sourcePackage(archive: AptArchive): Promise<string> {
  const names = await archive.dependencies("linux-source");
  const name = names.find((candidate) => candidate.startsWith("linux-source-"));
  if (name === undefined) throw new CannotFetch(`linux-source depends on ${names.join(", ")}`);
  return name;
}

export async function openBedKernel(folder: string): Promise<BedKernel> {
  return {
    kernel: await openKernel("6.12", join(folder, "kernel")),
    headers: join(folder, "headers"),
    mtty: join(folder, "mtty.c"),
  };
}

/** A release without its flavour, as the packages common to all flavours are named. */
function versionOf(release: string): string {
  return release.replace(/-[^-]+$/u, "");
}

/** Builds `mtty` out of tree into a folder, where {@link openMtty} finds it. */
export async function buildMtty(bed: BedKernel, tools: BuildTools, work: string): Promise<void> {
  const { release } = bed.kernel;
  const sources = join(bed.headers, "usr/src");
  const headers = join(sources, `linux-headers-${release}`);
  await relocate(headers, join(sources, `linux-headers-${versionOf(release)}-common`));
  const build = join(work, "build");
  await mkdir(build);
  await copyFile(bed.mtty, join(build, "mtty.c"));
  // Debugging information would make the guest's archive larger by half a megabyte.
  await writeFile(join(build, "Makefile"), "obj-m += mtty.o\nccflags-y += -g0\n");
  // Type information for BPF would need a further program.
  await make(tools, ["-C", headers, `M=${build}`, "CONFIG_DEBUG_INFO_BTF_MODULES=", "modules"]);
  await copyFile(join(build, "mtty.ko"), join(work, "mtty.ko"));
  await rm(build, { recursive: true });
}

export async function openMtty(folder: string): Promise<KernelModule> {
  return { name: "mtty", bytes: await readFile(join(folder, "mtty.ko")) };
}

/** The headers' Makefile names the place where the package would be installed. */
async function relocate(headers: string, common: string): Promise<void> {
  await writeFile(join(headers, "Makefile"), `include ${join(common, "Makefile")}\n`);
}
