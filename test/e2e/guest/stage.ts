import type { Artifacts } from "../fetch/artifacts.ts";
import type { Kernel, KernelSeries } from "../fetch/kernel.ts";
import type { StageContext } from "../run/stage.ts";
import { entry, MODELS, type Model } from "../serve/configurations.ts";
import { Served } from "../serve/served.ts";
import { GUEST_CASES } from "./cases.ts";
import { Guest } from "./guest.ts";
import type { GuestContext } from "./guest-case.ts";
import { HOT_PLUG_CASES } from "./hot-plug/cases.ts";
import { heldBy } from "./hot-plug/held.ts";
import { initramfs } from "./initramfs.ts";
import { doorbellCases } from "./doorbells/cases.ts";
import { replacementCases } from "./replacement/cases.ts";

const KERNELS: readonly KernelSeries[] = ["6.12", "6.1"];
const AT_BOOT = ["virtio_pci", "virtio_net", "8021q"];
const MAC = "02:00:00:00:00:0a";
const PEER_MAC = "02:00:00:00:00:99";
/** What the kernel has logged since the case began. */
const LOG_OF_CASE =
  'dmesg | tail -60 | awk \'/next-case$/ { text = ""; next } { text = text $0 "\\n" } END { printf "%s", text }\'';
/** Ends of the cable, in the configuration's folder. */
const WIRE = { device: "vf.wire", peer: "peer.wire" } as const;

export async function fetchForGuests(artifacts: Artifacts): Promise<void> {
  await artifacts.qemu();
  await artifacts.busybox();
  for (const series of KERNELS) await artifacts.kernel(series);
}

/** Unmodified Debian guests with iavf, over every kernel and model. */
export async function guestStage(context: StageContext): Promise<void> {
  for (const series of KERNELS) {
    for (const model of MODELS) await runGuest(context, series, model);
  }
  await replacementCases(context);
  await doorbellCases(context);
}

/** The same guests on memory without a file, on devices that can do with messages: those without a plugin. */
export async function messagesStage(context: StageContext): Promise<void> {
  for (const series of KERNELS) {
    for (const model of MODELS.filter(({ plugin }) => plugin === undefined)) {
      await runGuest(context, series, model, true);
    }
  }
}

async function runGuest(
  { artifacts, recorder }: StageContext,
  series: KernelSeries,
  model: Model,
  withoutFile = false,
): Promise<void> {
  const where = `${series} on ${model.name}${withoutFile ? " by messages" : ""}`;
  const title = (name: string): string => `${where}: ${name}`;
  const kernel = await artifacts.kernel(series);
  const all = [...GUEST_CASES, ...HOT_PLUG_CASES].filter(
    ({ on }) => on?.({ kernel, model }) ?? true,
  );
  // Cases build on one another, so a chosen one brings those before it.
  const cases = all.slice(0, all.findLastIndex(({ name }) => recorder.wants(title(name))) + 1);
  if (cases.length === 0) return;
  const wire = { kind: "dgram", local: WIRE.device, remote: WIRE.peer };
  await using served = await Served.start([entry(model, 0, "vf", { mac: MAC, wire })]);
  const idle = await Promise.all((await served.devicePids()).map(heldBy));
  const vf = vfOf(served);
  const start = (plug: "plugged" | "unplugged"): Promise<Guest> =>
    startGuest(artifacts, kernel, served, plug === "plugged" ? vf : undefined, withoutFile);
  await using guest = await start("plugged");
  const at: GuestContext = { guest, kernel, model, mac: MAC, served, idle, vf, start };
  for (const [index, { name, vital, run }] of cases.entries()) {
    const before = served.child.stderr.length;
    const passed = await recorder.run(title(name), async (evidence) => {
      evidence("vfmig serve's stderr", () => served.child.stderr.slice(before));
      evidence("the last messages", () => served.trace);
      evidence("QEMU's stderr", () => guest.machine.child.stderr);
      evidence("the guest's console", () => guest.console);
      try {
        if (index > 0) await guest.shell.run("echo next-case >/dev/kmsg");
        return await run(at);
      } catch (error) {
        const log = await guest.shell.try(LOG_OF_CASE, 5000).catch(String);
        evidence("the guest's kernel log", () => (typeof log === "string" ? log : log.output));
        throw error;
      }
    });
    if (passed || !vital) continue;
    const later = cases.slice(index + 1).map((untried) => title(untried.name));
    recorder.notTried(later, `not tried, since "${name}" failed`);
    return;
  }
}

/** The VF's words for QEMU: behind a port, since the root bus of a q35 lets nothing be plugged in or out. */
function vfOf(served: Served): Readonly<Record<string, unknown>> {
  const { socketPath: path } = served.device("vf");
  return { driver: "vfio-user-pci", id: "vf", bus: "root1", socket: { type: "unix", path } };
}

async function startGuest(
  artifacts: Artifacts,
  kernel: Kernel,
  served: Served,
  vf: Readonly<Record<string, unknown>> | undefined,
  withoutFile: boolean,
): Promise<Guest> {
  const port = { driver: "pcie-root-port", id: "root1", addr: "2", chassis: 1 };
  const cable = {
    type: "dgram",
    id: "cable",
    local: { type: "unix", path: `${served.folder}/${WIRE.peer}` },
    remote: { type: "unix", path: `${served.folder}/${WIRE.device}` },
  };
  const peer = { driver: "virtio-net-pci", netdev: "cable", addr: "4", mac: PEER_MAC };
  const devices = [port, ...(vf === undefined ? [] : [vf]), peer];
  return Guest.start(await artifacts.qemu(), {
    kernel,
    withoutFile,
    processors: 2,
    initramfs: await initramfs({
      busybox: await artifacts.busybox(),
      kernel,
      atBoot: AT_BOOT,
      onDemand: ["iavf"],
    }),
    words: [
      "-netdev",
      JSON.stringify(cable),
      ...devices.flatMap((device) => ["-device", JSON.stringify(device)]),
    ],
  });
}
