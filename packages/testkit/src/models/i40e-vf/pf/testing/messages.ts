import { IAVF_7_2_CAPS, buildMacList } from "@vfmig/iavf";
import { ethernet } from "../../../intel-vf/testing/frames.ts";
import { PEER_MAC, Rig, type RigOptions } from "../../../intel-vf/testing/rig.ts";

export function negotiated(options: RigOptions = {}, caps: number = IAVF_7_2_CAPS): Rig {
  const rig = new Rig(options);
  rig.negotiate(caps);
  return rig;
}

export function macs(rig: Rig, ...list: string[]): Uint8Array {
  return buildMacList({
    vsiId: rig.vsiId,
    filters: list.map((mac) => ({ mac, kind: 2 })),
  });
}

export const broadcast = ethernet("ff:ff:ff:ff:ff:ff", PEER_MAC, 0x88b5, new Uint8Array(60));

export const multicast = ethernet("01:00:5e:00:00:01", PEER_MAC, 0x88b5, new Uint8Array(60));
