import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { command } from "../run/command.ts";

/** A kernel module, ready to be loaded. */
export interface KernelModule {
  readonly name: string;
  /** The ELF file, not compressed, with its signature. */
  readonly bytes: Uint8Array;
}

/** Modules below a folder. Debian's packages carry no `modules.dep`, so each file is asked. */
export class ModuleTree {
  readonly #paths: ReadonlyMap<string, string>;
  readonly #builtIn: ReadonlySet<string>;

  private constructor(paths: ReadonlyMap<string, string>, builtIn: ReadonlySet<string>) {
    this.#paths = paths;
    this.#builtIn = builtIn;
  }

  static async open(folder: string): Promise<ModuleTree> {
    const names = await readdir(folder, { recursive: true });
    const files = names.filter((name) => /\.ko(\.\w+)?$/u.test(name));
    const list = names.find((name) => basename(name) === "modules.builtin");
    const builtIn = list === undefined ? "" : await readFile(join(folder, list), "utf8");
    return new ModuleTree(
      new Map(files.map((name) => [moduleName(name), join(folder, name)])),
      new Set(builtIn.split("\n").map(moduleName)),
    );
  }

  /** The modules with all that they need and the kernel has not, in the order of loading. */
  async resolve(wanted: readonly string[]): Promise<KernelModule[]> {
    const loaded = new Map<string, KernelModule>();
    const visit = async (name: string): Promise<void> => {
      if (loaded.has(name) || this.#builtIn.has(name)) return;
      const path = this.#paths.get(name);
      if (path === undefined) throw new Error(`the kernel has no module ${name}`);
      const bytes = await moduleBytes(path);
      for (const needed of dependencies(bytes)) await visit(needed);
      loaded.set(name, { name, bytes });
    };
    for (const name of wanted) await visit(moduleName(name));
    return [...loaded.values()];
  }
}

/** As the kernel writes names: without folder and ending, `_` for `-`. */
function moduleName(path: string): string {
  return basename(path)
    .replace(/\.ko(\.\w+)?$/u, "")
    .replaceAll("-", "_");
}

async function moduleBytes(path: string): Promise<Uint8Array> {
  if (path.endsWith(".xz")) return (await command("xz", ["-dc", path])).stdout;
  const bytes = await readFile(path);
  return path.endsWith(".zst") ? zstdDecompressSync(bytes) : bytes;
}

/** The `depends=` entry of section `.modinfo`: zero-terminated text, found without reading the ELF. */
function dependencies(bytes: Uint8Array): string[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const key = "\0depends=";
  const begin = buffer.indexOf(key, 0, "latin1");
  if (begin < 0) return [];
  const end = buffer.indexOf(0, begin + key.length);
  const list = buffer.toString("latin1", begin + key.length, end);
  return list === "" ? [] : list.split(",").map(moduleName);
}
