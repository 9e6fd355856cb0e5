import { join } from "node:path";
import { command, CommandError } from "../run/command.ts";

/** How to start a QEMU. */
export interface Qemu {
  readonly program: string;
  /** Words before QEMU's own. */
  readonly words: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** As QEMU tells it, such as `11.1.3`. */
  readonly version: string;
  readonly origin: "installed" | "fetched";
}

const NAME = "qemu-system-x86_64";

/** The installed QEMU (`VFMIG_E2E_QEMU` names another), if it can be a client of vfio-user. */
export async function findQemu(): Promise<Qemu | undefined> {
  const program = process.env["VFMIG_E2E_QEMU"] ?? NAME;
  return probe({ program, words: [], environment: {}, origin: "installed" });
}

/** Debian's QEMU, unpacked into `root` and run by its own loader with its own libraries. */
export async function unpackedQemu(root: string): Promise<Qemu> {
  const libraries = join(root, "usr/lib/x86_64-linux-gnu");
  const data = ["usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu"];
  const loader = ["--library-path", libraries, "--argv0", NAME, join(root, "usr/bin", NAME)];
  const found = await probe({
    program: join(root, "usr/lib64/ld-linux-x86-64.so.2"),
    words: [...loader, ...data.flatMap((folder) => ["-L", join(root, folder)])],
    environment: { QEMU_MODULE_DIR: join(libraries, "qemu") },
    origin: "fetched",
  });
  if (found === undefined) {
    throw new Error(`the QEMU in ${root} does not run, or has no vfio-user-pci; remove the folder`);
  }
  return found;
}

async function probe(qemu: Omit<Qemu, "version">): Promise<Qemu | undefined> {
  const environment = Object.entries(qemu.environment).map(([name, value]) => `${name}=${value}`);
  const ask = async (...words: readonly string[]): Promise<string> => {
    const all = [...environment, qemu.program, ...qemu.words, ...words];
    return (await command("env", all)).stdout.toString("utf8");
  };
  try {
    if (!(await ask("-device", "help")).includes('"vfio-user-pci"')) return undefined;
    const version = /version (\d+(?:\.\d+)+)/u.exec(await ask("--version"))?.[1] ?? "unknown";
    return { ...qemu, version };
  } catch (error) {
    if (error instanceof CommandError) return undefined;
    throw error;
  }
}
