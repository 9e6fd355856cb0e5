import { writeFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Qemu } from "../fetch/qemu.ts";
import type { Kernel } from "../fetch/kernel.ts";
import type { LineSocket } from "../machine/line-socket.ts";
import { QemuMachine } from "../machine/qemu-machine.ts";
import { GuestShell } from "./guest-shell.ts";

export interface GuestOptions {
  readonly kernel: Kernel;
  readonly initramfs: Buffer;
  /** Further words of QEMU. */
  readonly words: readonly string[];
  /** Default 1. */
  readonly processors?: number;
  /** Default 512M. */
  readonly memory?: string;
  /** Guest memory has no file behind it, so that devices reach it by messages only. */
  readonly withoutFile?: boolean;
  /** Further words of the kernel. */
  readonly append?: string;
}

/** A booted Linux guest: its console on the first serial port, its shell on the second. */
export class Guest implements AsyncDisposable {
  readonly machine: QemuMachine;
  readonly shell: GuestShell;
  readonly #folder: string;

  private constructor(machine: QemuMachine, shell: GuestShell, folder: string) {
    this.machine = machine;
    this.shell = shell;
    this.#folder = folder;
  }

  /** Starts the guest; {@link GuestShell.ready} tells when its shell is there. */
  static async start(qemu: Qemu, options: GuestOptions): Promise<Guest> {
    const folder = await mkdtemp(join(tmpdir(), "vfmig-e2e-"));
    const { kernel, processors = 1, memory = "512M" } = options;
    const archive = join(folder, "initramfs");
    await writeFile(archive, options.initramfs);
    let shellLine: LineSocket | undefined;
    const backend =
      options.withoutFile === true
        ? `memory-backend-ram,id=mem,size=${memory}`
        : `memory-backend-memfd,id=mem,size=${memory},share=on`;
    const board = ["-machine", "q35,memory-backend=mem", "-m", memory, "-object", backend];
    // Emulation, whatever the machine offers: a KVM that is there may not work. A plain processor boots sooner.
    const processor = ["-accel", "tcg", "-cpu", "qemu64", "-smp", String(processors)];
    const boot = ["-kernel", kernel.image, "-initrd", archive];
    const line = ["-append", `console=ttyS0 panic=0 quiet ${options.append ?? ""}`.trim()];
    const words = [...processor, ...board, ...boot, ...line, ...options.words];
    try {
      const machine = await QemuMachine.start(qemu, words, [
        {
          name: "shell",
          socket: (line) => {
            shellLine = line;
            const chardev = `socket,id=shell,path=${line.path}`;
            return ["-serial", "stdio", "-chardev", chardev, "-serial", "chardev:shell"];
          },
        },
      ]);
      if (shellLine === undefined) throw new Error("no shell socket was opened");
      return new Guest(machine, new GuestShell(shellLine, machine), folder);
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** What the guest's console and its kernel's log told. */
  get console(): string {
    return this.machine.child.stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.machine[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
