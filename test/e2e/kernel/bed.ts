import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Artifacts } from "../fetch/artifacts.ts";
import type { Kernel } from "../fetch/kernel.ts";
import type { KernelModule } from "../fetch/modules.ts";
import { Guest } from "../guest/guest.ts";
import { initramfs } from "../guest/initramfs.ts";
import { DEVICES } from "./inside/devices.ts";

const AT_BOOT: readonly string[] = [
  "virtio_pci",
  "9pnet_virtio",
  "9p",
  "igb",
  "igbvf",
  "vfio_pci",
  "vfio_iommu_type1",
  "mdev",
  "e1000",
  "e1000e",
];
/** For the network beyond the NIC; see `make_lan`. */
const LAN: readonly string[] = ["virtio_net", "bridge", "tun"];
const APPEND: readonly string[] = [
  // On a busy machine an emulated clock may stand still for longer than the kernel's tests and watchdogs allow.
  "no_timer_check",
  "nowatchdog",
  "rcupdate.rcu_cpu_stall_suppress=1",
  // Guards against neighbours that this guest does not have; they cost emulation much.
  "mitigations=off",
];
const CLONE = realpathSync(fileURLToPath(new URL("../../..", import.meta.url))).replace(/\/$/u, "");
const NODE = realpathSync(process.execPath);
const RUNNER = fileURLToPath(new URL("inside/runner.ts", import.meta.url));
const FUNCTIONS = new URL("functions.sh", import.meta.url);

/** QEMU's words for the devices that {@link DEVICES} names. */
const WORDS: readonly (readonly [option: string, value: string])[] = [
  ["-device", "intel-iommu,intremap=on,caching-mode=on"],
  ["-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"],
  ["-device", "virtio-9p-pci,bus=pcie.0,addr=2,fsdev=host,mount_tag=host"],
  ["-device", "pcie-root-port,bus=pcie.0,addr=3,id=nic-port,chassis=1"],
  ["-netdev", "hubport,id=lan-nic,hubid=0"],
  ["-device", "igb,bus=nic-port,mac=02:00:00:00:00:01,netdev=lan-nic"],
  // The other end of the NIC's cable; not behind the IOMMU's groups that cases count.
  ["-netdev", "hubport,id=lan-peer,hubid=0"],
  ["-device", "virtio-net-pci,bus=pcie.0,addr=6,mac=02:00:00:00:00:02,netdev=lan-peer"],
  ["-device", "pcie-pci-bridge,bus=pcie.0,addr=4,id=bridge"],
  ["-device", "e1000,bus=bridge,addr=1"],
  ["-device", "e1000,bus=bridge,addr=2"],
  ["-device", "pxb-pcie,bus=pcie.0,addr=5,id=bypass,bus_nr=64,bypass_iommu=on"],
  ["-device", "pcie-root-port,bus=bypass,id=bypass-port,chassis=2"],
  ["-device", "e1000e,bus=bypass-port"],
];

/**
 * Whose kernel runs: Debian's, which has the legacy interface only, or one of ours with iommufd. With `mock` that kernel
 * uses no real IOMMU, so that iommufd's self-test has its own: until Linux 6.16 the first one took all devices.
 */
export type BedKind = "debian" | "iommufd" | "mock";

interface BedParts {
  readonly kernel: Kernel;
  /** Module of the mediated devices, why there is none, or undefined where the kernel has it built in. */
  readonly mtty: KernelModule | Error | undefined;
}

const KINDS: Readonly<Record<BedKind, (artifacts: Artifacts) => Promise<BedParts>>> = {
  debian: async (artifacts) => ({
    kernel: (await artifacts.bedKernel()).kernel,
    mtty: await artifacts.mtty(),
  }),
  iommufd: async (artifacts) => ({ kernel: await artifacts.ownKernel(), mtty: undefined }),
  mock: async (artifacts) => ({ kernel: await artifacts.ownKernel(), mtty: undefined }),
};

/**
 * A guest in which the kernel's VFIO can be used for real: an emulated VT-d, two VFs on vfio-pci, mediated devices,
 * and the host's files, so that the clone's Node runs inside with the clone's code.
 */
export class Bed implements AsyncDisposable {
  readonly guest: Guest;
  /** Why {@link DEVICES.mdevs} are not there; undefined if they are. */
  readonly noMdevs: string | undefined;

  readonly #kind: BedKind;

  private constructor(guest: Guest, kind: BedKind, noMdevs: string | undefined) {
    this.guest = guest;
    this.#kind = kind;
    this.noMdevs = noMdevs;
  }

  static async start(artifacts: Artifacts, kind: BedKind = "debian"): Promise<Bed> {
    const { kernel, mtty } = await KINDS[kind](artifacts);
    const guest = await Guest.start(await artifacts.qemu(), {
      kernel,
      processors: 2,
      memory: "1024M",
      append: [`intel_iommu=${kind === "mock" ? "off" : "on"}`, ...APPEND].join(" "),
      initramfs: await initramfs({
        busybox: await artifacts.busybox(),
        kernel,
        atBoot: AT_BOOT,
        // Our own kernel has no network beyond its drivers.
        onDemand: kind === "debian" ? LAN : [],
        functions: FUNCTIONS,
        foreign: mtty === undefined || mtty instanceof Error ? [] : [mtty],
      }),
      words: WORDS.flat(),
    });
    return new Bed(guest, kind, mtty instanceof Error ? mtty.message : undefined);
  }

  /** Waits for the guest, and makes its root and its devices. */
  async ready(): Promise<void> {
    const { shell } = this.guest;
    await shell.ready();
    await shell.run(`. /functions.sh; CLONE='${CLONE}' NODE='${NODE}'; set_root "$CLONE"`);
    if (this.#kind === "mock") return;
    await shell.run(`make_vfs ${DEVICES.pf} ${DEVICES.vfs.length}`);
    if (this.#kind === "debian") await shell.run(`make_lan ${DEVICES.lan.mac} ${DEVICES.lan.tap}`);
    if (this.noMdevs === undefined) await shell.run(`make_mdevs ${DEVICES.mdevs.join(" ")}`);
  }

  /**
   * Runs a program of the clone by Node, with the clone as its folder; returns its code.
   * @param onLine hears what it prints
   */
  async node(
    words: readonly string[],
    limitMs: number,
    onLine: (line: string) => void,
  ): Promise<number> {
    const quoted = words.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`);
    const seconds = Math.ceil(limitMs / 1000);
    const line = `inside "$CLONE" timeout -s KILL ${seconds} "$NODE" ${quoted.join(" ")}`;
    return (await this.guest.shell.try(line, limitMs + 10_000, onLine)).code;
  }

  /** Runs cases of a file, those that are named. */
  async cases(
    file: string,
    names: readonly string[],
    limitMs: number,
    onLine: (line: string) => void,
  ): Promise<number> {
    return this.node([RUNNER, file, ...names], limitMs, onLine);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.guest[Symbol.asyncDispose]();
  }
}
