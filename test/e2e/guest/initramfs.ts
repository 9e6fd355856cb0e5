import { readFile } from "node:fs/promises";
import type { Kernel } from "../fetch/kernel.ts";
import type { KernelModule } from "../fetch/modules.ts";
import { cpioArchive, MODE, type CpioEntry } from "./cpio.ts";

/** What a guest consists of besides its kernel. */
export interface InitramfsParts {
  readonly busybox: string;
  readonly kernel: Kernel;
  /** Loaded before the test begins. */
  readonly atBoot: readonly string[];
  /** Lie in `/modules`, with all that they need; the test loads them. */
  readonly onDemand: readonly string[];
  /** The script `/functions.sh`; default is that of stage "guest". */
  readonly functions?: URL;
  /** Modules from elsewhere; they lie in `/modules`. */
  readonly foreign?: readonly KernelModule[];
}

/**
 * An initramfs of busybox, `init.sh`, `functions.sh` and kernel modules. `/modules/NAME.order` lists a module on demand
 * with what it needs, in the order of loading.
 */
export async function initramfs(parts: InitramfsParts): Promise<Buffer> {
  const { kernel, atBoot, onDemand } = parts;
  const boot = await kernel.modules.resolve(atBoot);
  const files = new Map(boot.map(({ name, bytes }) => [`modules/${name}.ko`, bytes]));
  const loaded = new Set(boot.map(({ name }) => name));
  const orders: CpioEntry[] = [];
  for (const name of onDemand) {
    const needed = (await kernel.modules.resolve([name])).filter((m) => !loaded.has(m.name));
    for (const module of needed) files.set(`modules/${module.name}.ko`, module.bytes);
    const order = needed.map((module) => module.name).join("\n");
    orders.push({ name: `modules/${name}.order`, mode: MODE.file, data: order });
  }
  for (const { name, bytes } of parts.foreign ?? []) files.set(`modules/${name}.ko`, bytes);
  const init = await readFile(new URL("init.sh", import.meta.url));
  const functions = await readFile(parts.functions ?? new URL("functions.sh", import.meta.url));
  return cpioArchive([
    { name: "bin", mode: MODE.folder },
    { name: "dev", mode: MODE.folder },
    { name: "modules", mode: MODE.folder },
    { name: "dev/console", mode: MODE.characterDevice, device: [5, 1] },
    { name: "bin/busybox", mode: MODE.program, data: await readFile(parts.busybox) },
    { name: "init", mode: MODE.program, data: init },
    { name: "functions.sh", mode: MODE.file, data: functions },
    { name: "modules/at-boot", mode: MODE.file, data: [...loaded].join("\n") },
    ...orders,
    ...[...files].map(([name, data]) => ({ name, mode: MODE.file, data })),
  ]);
}
