import { existsSync } from "node:fs";
import { readdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { command, CommandError } from "../run/command.ts";
import { unpack, type AptArchive } from "./apt.ts";

/** Programs that build kernels and modules. */
export interface BuildTools {
  /** `CC` of the kernel's makefiles. */
  readonly compiler: string;
  readonly environment: Readonly<Record<string, string>>;
}

const NEEDED: readonly string[] = ["make", "ld", "strip", "objcopy"];
const COMPILERS: readonly string[] = ["gcc-12", "gcc"];
/** Debian 12's compiler with what it needs and a machine may not have; the C library is the machine's. */
const PACKAGES: readonly string[] = [
  "binutils-x86-64-linux-gnu",
  "cpp-12",
  "gcc-12",
  "libbinutils",
  "libctf-nobfd0",
  "libctf0",
  "libelf1",
  "libgmp10",
  "libisl23",
  "libjansson4",
  "libmpc3",
  "libmpfr6",
  "libzstd1",
  "make",
];
const PREFIX = "x86_64-linux-gnu-";

/** The machine's own compiler, make and binutils, if it has them all. */
export async function findBuildTools(): Promise<BuildTools | undefined> {
  for (const tool of NEEDED) if (!(await runs(tool))) return undefined;
  for (const compiler of COMPILERS) if (await runs(compiler)) return { compiler, environment: {} };
  return undefined;
}

/** Fetches Debian's, to be run in place; they build modules, not programs. */
export async function fetchBuildTools(archive: AptArchive, folder: string): Promise<void> {
  const root = join(folder, "root");
  await unpack(await archive.download(join(folder, "debs"), ...PACKAGES), root);
  // The package that would name them without a prefix needs all of binutils.
  const bin = join(root, "usr/bin");
  for (const name of await readdir(bin)) {
    const short = join(bin, name.slice(PREFIX.length));
    if (name.startsWith(PREFIX) && !existsSync(short)) await symlink(name, short);
  }
}

/** The tools that {@link fetchBuildTools} left in a folder. */
export function unpackedBuildTools(folder: string): BuildTools {
  const root = join(folder, "root");
  return { compiler: "gcc-12", environment: toolEnvironment(root) };
}

/** Lets programs unpacked into `root` be found, with their libraries. */
export function toolEnvironment(root: string): Readonly<Record<string, string>> {
  return {
    PATH: `${join(root, "usr/bin")}:${process.env["PATH"] ?? ""}`,
    LD_LIBRARY_PATH: join(root, "usr/lib/x86_64-linux-gnu"),
  };
}

/** Runs `make` with an environment of tools. */
export async function make(tools: BuildTools, words: readonly string[]): Promise<void> {
  const variables = Object.entries(tools.environment).map(([name, value]) => `${name}=${value}`);
  await command("env", [...variables, "make", "-s", `CC=${tools.compiler}`, ...words]);
}

async function runs(program: string): Promise<boolean> {
  try {
    await command(program, ["--version"]);
    return true;
  } catch (error) {
    if (error instanceof CommandError) return false;
    throw error;
  }
}
