import {
  IAVF_6_1_CAPS,
  VF_CAP,
  VIRTCHNL_OP as OP,
  VIRTCHNL_STATUS,
  buildVlanList,
} from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { rigsOf, type Rig, type RigOptions } from "../../intel-vf/testing/rig.ts";
import { VSI, plain, tags } from "./testing/filters.ts";
import { received } from "../../intel-vf/testing/plain-frames.ts";

const { SUCCESS } = VIRTCHNL_STATUS;

const { newRig } = rigsOf("e810-vf");

describe("VLAN v1 with ice", () => {
  function v1(options: RigOptions = {}): Rig {
    const rig = newRig(options);
    rig.negotiate((IAVF_6_1_CAPS & ~VF_CAP.VLAN_V2) >>> 0);
    rig.startQueues();
    return rig;
  }
  const list = (...ids: number[]): Uint8Array => buildVlanList({ vsiId: VSI, ids });

  test("strips from the start, and filters from the first VLAN to the last", () => {
    const rig = v1();
    expect(rig.port.deliver(tags(plain, [0x8100, 5]))).toBe("accepted");
    expect(received(rig, 0)).toEqual(plain);
    rig.answer(OP.ADD_VLAN, list(0, 6));
    expect(rig.port.deliver(tags(plain, [0x8100, 5]))).toBe("filtered");
    expect(rig.port.deliver(tags(plain, [0x8100, 6]))).toBe("accepted");
    rig.answer(OP.DEL_VLAN, list(6));
    expect(rig.port.deliver(tags(plain, [0x8100, 5]))).toBe("accepted");
    rig.answer(OP.DISABLE_VLAN_STRIPPING);
    rig.port.deliver(tags(plain, [0x8100, 5]));
    expect(received(rig, 3)).toEqual(tags(plain, [0x8100, 5]));
  });

  test("beyond the limit nothing is added, with success", () => {
    const rig = v1();
    const ids = Array.from({ length: 9 }, (_, index) => index + 1);
    expect(rig.answer(OP.ADD_VLAN, list(...ids)).status).toBe(SUCCESS);
    const heard = ids.filter((id) => rig.port.deliver(tags(plain, [0x8100, id])) === "accepted");
    // VLAN 0, which the PF adds itself, counts too.
    expect(heard).toEqual([1, 2, 3, 4, 5, 6, 7]);
    const trusted = v1({ trusted: true });
    trusted.answer(OP.ADD_VLAN, list(...ids));
    expect(trusted.port.deliver(tags(plain, [0x8100, 9]))).toBe("accepted");
  });
});
