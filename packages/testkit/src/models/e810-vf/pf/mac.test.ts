import {
  MAC_KIND,
  VIRTCHNL_OP as OP,
  VIRTCHNL_STATUS,
  buildMacList,
  buildPromiscuous,
} from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { ethernet } from "../../intel-vf/testing/frames.ts";
import { PEER_MAC, RIG_MAC, rigsOf } from "../../intel-vf/testing/rig.ts";
import { VSI, plain, tags } from "./testing/filters.ts";

const { ADMIN_QUEUE_ERROR, PARAM, SUCCESS } = VIRTCHNL_STATUS;

const { startedRig } = rigsOf("e810-vf");

describe("addresses with ice", () => {
  const mac = (index: number): string => `01:00:5e:00:00:${index.toString(16).padStart(2, "0")}`;
  const list = (macs: readonly string[], kind: number = MAC_KIND.EXTRA): Uint8Array =>
    buildMacList({ vsiId: VSI, filters: macs.map((address) => ({ mac: address, kind })) });
  const to = (address: string): Uint8Array =>
    ethernet(address, PEER_MAC, 0x88b5, new Uint8Array(50));

  test("an untrusted VF gets 16 beside its own and broadcast", () => {
    const rig = startedRig();
    const many = Array.from({ length: 16 }, (_, index) => mac(index + 1));
    expect(rig.answer(OP.ADD_ETH_ADDR, list(many)).status).toBe(SUCCESS);
    expect(rig.answer(OP.ADD_ETH_ADDR, list([mac(17)])).status).toBe(PARAM);
    const trusted = startedRig(1, { trusted: true });
    expect(trusted.answer(OP.ADD_ETH_ADDR, list([...many, mac(17)])).status).toBe(SUCCESS);
  });

  test("a foreign unicast address is an admin queue error; those before it stay", () => {
    const rig = startedRig();
    const other = "02:00:00:00:00:77";
    expect(rig.answer(OP.ADD_ETH_ADDR, list([mac(1), other, mac(2)])).status).toBe(
      ADMIN_QUEUE_ERROR,
    );
    expect([mac(1), other, mac(2)].map((address) => rig.port.deliver(to(address)))).toEqual([
      "accepted",
      "filtered",
      "filtered",
    ]);
    expect(rig.answer(OP.ADD_ETH_ADDR, list(["01:80:c2:00:00:0e"])).status).toBe(ADMIN_QUEUE_ERROR);
  });

  test("zero, broadcast, own and known addresses are passed over, also when deleted", () => {
    const rig = startedRig();
    const odd = ["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", RIG_MAC, mac(1), mac(1)];
    expect(rig.answer(OP.ADD_ETH_ADDR, list(odd)).status).toBe(SUCCESS);
    expect(rig.answer(OP.DEL_ETH_ADDR, list([...odd, mac(9)])).status).toBe(SUCCESS);
    expect(rig.port.deliver(to(RIG_MAC))).toBe("accepted");
    expect(rig.port.deliver(to("ff:ff:ff:ff:ff:ff"))).toBe("accepted");
    expect(rig.port.deliver(to(mac(1)))).toBe("filtered");
  });

  test("where the host set none, the address named primary is the VF's from then on", () => {
    const rig = startedRig(1, { mac: "00:00:00:00:00:00" });
    const own = "02:00:00:00:00:55";
    expect(rig.answer(OP.ADD_ETH_ADDR, list([own], MAC_KIND.PRIMARY)).status).toBe(SUCCESS);
    expect(rig.port.deliver(to(own))).toBe("accepted");
    rig.answer(OP.DEL_ETH_ADDR, list([own], MAC_KIND.PRIMARY));
    expect(rig.port.deliver(to(own))).toBe("filtered");
    rig.ask(OP.RESET_VF);
    rig.clock.advance(20);
    expect(rig.renegotiate().mac).toBe(own);
  });

  test("promiscuous modes are a lie to an untrusted VF, and open a trusted one to every VLAN", () => {
    const other = to("02:00:00:00:00:99");
    const both = buildPromiscuous({ vsiId: VSI, flags: 3 });
    const rig = startedRig();
    expect(rig.answer(OP.CONFIG_PROMISCUOUS_MODE, both).status).toBe(SUCCESS);
    expect(rig.port.deliver(other)).toBe("filtered");
    const trusted = startedRig(1, { trusted: true });
    trusted.answer(OP.CONFIG_PROMISCUOUS_MODE, both);
    expect(trusted.port.deliver(tags(other, [0x8100, 5]))).toBe("accepted");
    trusted.answer(OP.CONFIG_PROMISCUOUS_MODE, buildPromiscuous({ vsiId: VSI, flags: 0 }));
    expect(trusted.port.deliver(other)).toBe("filtered");
    expect(trusted.port.deliver(tags(plain, [0x8100, 5]))).toBe("filtered");
  });
});
