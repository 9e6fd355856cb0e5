import { join } from "node:path";
import { CommandError } from "../run/command.ts";
import { AptArchive, unpack } from "./apt.ts";
import {
  buildMtty,
  fetchBedKernel,
  openBedKernel,
  openMtty,
  type BedKernel,
} from "./bed-kernel.ts";
import {
  fetchBuildTools,
  findBuildTools,
  unpackedBuildTools,
  type BuildTools,
} from "./build-tools.ts";
import { cacheFolder, kept } from "./cache.ts";
import { findMirror } from "./host-sources.ts";
import { fetchKernel, openKernel, type Kernel, type KernelSeries } from "./kernel.ts";
import { buildOwnKernel, ownKernelName } from "./own-kernel.ts";
import type { KernelModule } from "./modules.ts";
import { findQemu, unpackedQemu, type Qemu } from "./qemu.ts";

type Suite = "bookworm" | "bookworm-backports" | "trixie";

/** Which Debian release a kernel series is taken from. */
const KERNEL_SUITE: Readonly<Record<KernelSeries, Suite>> = { "6.1": "bookworm", "6.12": "trixie" };

/** What the tests run that is not ours; each is fetched when it is first asked for. */
export class Artifacts {
  readonly #made = new Map<string, Promise<unknown>>();
  readonly #note: (text: string) => void;

  constructor(note: (text: string) => void) {
    this.#note = note;
  }

  /** A QEMU that has `vfio-user-pci`: an installed one, or Debian's. */
  qemu(): Promise<Qemu> {
    return this.#once("qemu", async () => {
      const installed = await findQemu();
      if (installed !== undefined) return installed;
      const folder = await this.#kept("qemu", async (work) => {
        const archive = await this.#archive("trixie");
        const suite = "trixie-backports";
        const files = await archive.downloadClosure(join(work, "debs"), suite, "qemu-system-x86");
        await unpack(files, join(work, "root"));
      });
      return unpackedQemu(join(folder, "root"));
    });
  }

  /** Debian's kernel of a series with the modules that tests may load. */
  kernel(series: KernelSeries): Promise<Kernel> {
    return this.#once(`kernel-${series}`, async () => {
      const folder = await this.#kept(`kernel-${series}`, async (work) =>
        fetchKernel(await this.#archive(KERNEL_SUITE[series]), work),
      );
      return openKernel(series, folder);
    });
  }

  /**
   * The kernel 6.12 that Debian 12's backports have, whose headers a compiler of Debian 12 or newer can use, with the
   * headers and the sample driver `mtty` in source.
   */
  bedKernel(): Promise<BedKernel> {
    return this.#once("bed-kernel", async () => {
      const folder = await this.#kept("bed-6.12", async (work) =>
        fetchBedKernel(await this.#archive("bookworm-backports"), work),
      );
      return openBedKernel(folder);
    });
  }

  /** The module `mtty`, built for {@link Artifacts.bedKernel}; or why it cannot be built on this machine. */
  mtty(): Promise<KernelModule | CommandError> {
    return this.#once("mtty", async () => {
      const bed = await this.bedKernel();
      try {
        const tools = await this.buildTools();
        const fill = async (work: string): Promise<void> => buildMtty(bed, tools, work);
        return await openMtty(await this.#kept(`mtty-${bed.kernel.release}`, fill));
      } catch (error) {
        if (error instanceof CommandError) return error;
        throw error;
      }
    });
  }

  /** A kernel with iommufd, which Debian's lack; built on this machine when it is first asked for, in minutes. */
  ownKernel(): Promise<Kernel> {
    return this.#once("own-kernel", async () => {
      const tools = await this.buildTools();
      const folder = await this.#kept(await ownKernelName(), async (work) => {
        this.#note("building it takes 5 to 15 minutes, once");
        const sources = await this.#archive("bookworm-backports");
        await buildOwnKernel(sources, await this.#archive("bookworm"), tools, work);
      });
      return openKernel("6.12", folder);
    });
  }

  /** What builds modules: the machine's own compiler and make, or Debian's. */
  buildTools(): Promise<BuildTools> {
    return this.#once("build-tools", async () => {
      const installed = await findBuildTools();
      if (installed !== undefined) return installed;
      const folder = await this.#kept("build-tools", async (work) =>
        fetchBuildTools(await this.#archive("bookworm"), work),
      );
      return unpackedBuildTools(folder);
    });
  }

  /** Path of a statically linked busybox. */
  busybox(): Promise<string> {
    return this.#once("busybox", async () => {
      const folder = await this.#kept("busybox", async (work) => {
        const archive = await this.#archive("trixie");
        const files = await archive.download(join(work, "debs"), "busybox-static");
        await unpack(files, join(work, "root"));
      });
      return join(folder, "root", "usr", "bin", "busybox");
    });
  }

  #archive(suite: Suite): Promise<AptArchive> {
    return this.#once(`archive-${suite}`, async () => {
      const suites = suite === "trixie" ? ["trixie", "trixie-backports"] : [suite];
      return new AptArchive(join(cacheFolder(), "apt", suite), suites, await findMirror());
    });
  }

  async #kept(name: string, fill: (work: string) => Promise<void>): Promise<string> {
    const { folder, fetched } = await kept(name, async (work) => {
      this.#note(`fetching ${name} ...`);
      await fill(work);
    });
    if (fetched) this.#note(`fetched ${name} into ${folder}`);
    return folder;
  }

  #once<Value>(name: string, make: () => Promise<Value>): Promise<Value> {
    let made = this.#made.get(name) as Promise<Value> | undefined;
    if (made === undefined) {
      made = make();
      this.#made.set(name, made);
    }
    return made;
  }
}
