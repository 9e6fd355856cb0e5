import { createHash } from "node:crypto";
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { command } from "../run/command.ts";
import { unpack, type AptArchive } from "./apt.ts";
import { make, toolEnvironment, type BuildTools } from "./build-tools.ts";
import { sourcePackage } from "./bed-kernel.ts";

const CONFIG = new URL("own-kernel.config", import.meta.url);
/** What a kernel's build needs besides a compiler, and few machines have. */
const PACKAGES: readonly string[] = ["bison", "flex", "libelf-dev", "libelf1", "libsigsegv2", "m4"];

/** Name of the folder that keeps the kernel: another configuration is another kernel. */
export async function ownKernelName(): Promise<string> {
  const hash = createHash("sha256")
    .update(await readFile(CONFIG))
    .digest("hex");
  return `own-kernel-6.12-${hash.slice(0, 12)}`;
}

/**
 * Builds a kernel with iommufd and VFIO's character devices, which Debian's kernels do not have. Takes minutes, so
 * it runs with the lowest priority. The machine's own compiler, C library headers, make, bc and perl are needed.
 * @param sources archive of the kernel's source
 * @param tools archive of the tools, Debian 12's
 */
export async function buildOwnKernel(
  sources: AptArchive,
  tools: AptArchive,
  compiler: BuildTools,
  work: string,
): Promise<void> {
  const source = join(work, "source");
  await unpackSource(sources, work, source);
  const root = join(work, "tools");
  await unpack(await tools.download(join(work, "debs"), ...PACKAGES), root);
  const environment = {
    ...compiler.environment,
    ...toolEnvironment(root),
    BISON_PKGDATADIR: join(root, "usr/share/bison"),
    M4: join(root, "usr/bin/m4"),
  };
  const build = async (...words: readonly string[]): Promise<void> =>
    make({ ...compiler, environment }, [
      "-C",
      source,
      `HOSTCFLAGS=-I${join(root, "usr/include")}`,
      `HOSTLDFLAGS=-L${join(root, "usr/lib/x86_64-linux-gnu")}`,
      ...words,
    ]);
  await build("tinyconfig");
  await configure(join(source, ".config"), async () => build("olddefconfig"));
  await build(`-j${availableParallelism()}`, "bzImage");
  await keep(source, work);
  for (const name of ["source", "tools", "debs"]) await rm(join(work, name), { recursive: true });
}

async function unpackSource(archive: AptArchive, work: string, source: string): Promise<void> {
  const debs = join(work, "debs");
  const [file] = await archive.download(debs, await sourcePackage(archive));
  if (file === undefined) throw new Error("no package of the kernel's source came");
  await mkdir(source);
  const script =
    'dpkg-deb --fsys-tarfile "$1" | tar -xO --wildcards "*.tar.xz" | tar -xJ -C "$2" --strip-components=1';
  await command("sh", ["-ec", script, "sh", file, source]);
  await rm(file);
}

/** Adds what is wanted, and makes sure that the kernel's own rules left it in. */
async function configure(file: string, settle: () => Promise<void>): Promise<void> {
  const wanted = await readFile(CONFIG, "utf8");
  await writeFile(file, `${await readFile(file, "utf8")}\n${wanted}`);
  await settle();
  const lines = new Set((await readFile(file, "utf8")).split("\n"));
  const lost = wanted.split("\n").filter((line) => line.startsWith("CONFIG_") && !lines.has(line));
  if (lost.length > 0) throw new Error(`the kernel's configuration lost ${lost.join(", ")}`);
}

/** Image, list of what is built in, and configuration, where a fetched kernel has them. */
async function keep(source: string, work: string): Promise<void> {
  const release = (await readFile(join(source, "include/config/kernel.release"), "utf8")).trim();
  await mkdir(join(work, "boot"));
  await copyFile(join(source, "arch/x86/boot/bzImage"), join(work, "boot", `vmlinuz-${release}`));
  await copyFile(join(source, "modules.builtin"), join(work, "modules.builtin"));
  await copyFile(join(source, ".config"), join(work, "config"));
}
