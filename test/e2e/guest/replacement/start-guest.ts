import type { Artifacts } from "../../fetch/artifacts.ts";
import type { KernelSeries } from "../../fetch/kernel.ts";
import type { Served } from "../../serve/served.ts";
import { Guest } from "../guest.ts";
import { initramfs } from "../initramfs.ts";
import type { Cable } from "./cable.ts";

const PEER_MAC = "02:00:00:00:00:99";

/** A guest with the served VF `vf`, and a virtio-net at the cable's other end. */
export async function startGuest(
  artifacts: Artifacts,
  series: KernelSeries,
  served: Served,
  cable: Cable,
): Promise<Guest> {
  const kernel = await artifacts.kernel(series);
  const { socketPath: path } = served.device("vf");
  const vf = { driver: "vfio-user-pci", id: "vf", addr: "2", socket: { type: "unix", path } };
  const netdev = {
    type: "dgram",
    id: "cable",
    local: { type: "unix", path: cable.remote },
    remote: { type: "unix", path: cable.local },
  };
  const peer = { driver: "virtio-net-pci", netdev: "cable", addr: "4", mac: PEER_MAC };
  return await Guest.start(await artifacts.qemu(), {
    kernel,
    processors: 2,
    initramfs: await initramfs({
      busybox: await artifacts.busybox(),
      kernel,
      atBoot: ["virtio_pci", "virtio_net"],
      onDemand: ["iavf"],
    }),
    words: [
      "-device",
      JSON.stringify(vf),
      "-netdev",
      JSON.stringify(netdev),
      "-device",
      JSON.stringify(peer),
    ],
  });
}
