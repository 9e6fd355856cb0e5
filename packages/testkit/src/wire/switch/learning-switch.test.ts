import { describe, expect, test } from "vitest";
import { createManualClock } from "../../clock/manual-clock.ts";
import { frameOf } from "../testing/frames.ts";
import { rig } from "../testing/learning-rig.ts";
import { createSwitch, type SwitchPort } from "./learning-switch.ts";

describe("a switch", () => {
  test("floods what is for a station that nobody has heard, and then knows it", () => {
    const { at, got } = rig(3);
    at(0).input(frameOf(2, 1, 10));
    expect(got).toEqual([[], [10], [10]]);
    at(1).input(frameOf(1, 2, 20));
    at(0).input(frameOf(2, 1, 30));
    expect(got).toEqual([[20], [10, 30], [10]]);
  });

  test("floods broadcast and multicast, also once everybody is known", () => {
    const { at, got } = rig(3);
    for (const index of [0, 1, 2]) at(index).input(frameOf(0xff, index + 1, index));
    expect(got).toEqual([
      [1, 2],
      [0, 2],
      [0, 1],
    ]);
    const multicast = frameOf(2, 1, 9);
    multicast.set([0x33, 0x33]);
    at(0).input(multicast);
    expect(got.map((marks) => marks.at(-1))).toEqual([2, 9, 9]);
  });

  test("relearns a station that moved with the first frame it sends there", () => {
    const { at, got, ethernet } = rig(3);
    at(1).input(frameOf(0xff, 7, 1));
    at(2).input(frameOf(0xff, 7, 2));
    at(0).input(frameOf(7, 1, 3));
    expect(got[1]).toEqual([2]);
    expect(got[2]).toEqual([1, 3]);
    expect(ethernet.report().moves).toBe(1);
    expect(ethernet.report().ports.map(({ stations }) => stations)).toEqual([1, 0, 1]);
  });

  test("does not hand a frame to the port where its destination is said to be, if it came from there", () => {
    const { at, got, ethernet } = rig(2);
    at(0).input(frameOf(0xff, 1));
    at(0).input(frameOf(0xff, 2));
    at(0).input(frameOf(2, 1, 5));
    expect(got[1]).toEqual([0, 0]);
    expect(ethernet.report().ports[0]).toMatchObject({ received: 3, flooded: 2, filtered: 1 });
  });

  test("forgets a station that is silent for too long, and no sooner", () => {
    const { at, got, clock } = rig(3, { ageMs: 1000 });
    at(1).input(frameOf(0xff, 2, 1));
    clock.advance(999);
    at(0).input(frameOf(2, 1, 2));
    expect(got[2]).toEqual([1]);
    clock.advance(1);
    at(0).input(frameOf(2, 1, 3));
    expect(got[2]).toEqual([1, 3]);
  });

  test("keeps a station that goes on speaking", () => {
    const { at, got, clock } = rig(3, { ageMs: 1000 });
    for (let turn = 0; turn < 5; turn++) {
      at(1).input(frameOf(0xff, 2, 1));
      clock.advance(900);
    }
    at(0).input(frameOf(2, 1, 3));
    expect(got[2]).not.toContain(3);
  });

  test("lets a guest that invents addresses push out none but its own", () => {
    const { at, ethernet, got } = rig(3, { stationsPerPort: 10 });
    at(1).input(frameOf(0xff, 200));
    for (let from = 1; from <= 100; from++) at(0).input(frameOf(0xff, from));
    expect(ethernet.report().ports.map(({ stations }) => stations)).toEqual([10, 1, 0]);
    got[2]?.splice(0);
    at(0).input(frameOf(200, 100, 5));
    expect(got[2]).toEqual([]);
    // The newest ones are those that stay.
    at(1).input(frameOf(100, 200, 6));
    expect(got[2]).toEqual([]);
    at(1).input(frameOf(1, 200, 7));
    expect(got[2]).toEqual([7]);
  });

  test("learns no group address and no zeros as a station", () => {
    const { at, ethernet } = rig(2);
    const group = frameOf(0xff, 1);
    group.set([3], 6);
    const zeros = frameOf(0xff, 0);
    zeros.fill(0, 6, 12);
    at(0).input(group);
    at(0).input(zeros);
    expect(ethernet.report().ports[0]).toMatchObject({ stations: 0, flooded: 2 });
  });

  test("keeps pause frames and spanning tree on their link, but learns from them", () => {
    const { at, got, ethernet } = rig(2);
    for (const last of [0, 1, 0xf, 0x10]) {
      const frame = frameOf(0xff, 1, last);
      frame.set([0x01, 0x80, 0xc2, 0, 0, last]);
      at(0).input(frame);
    }
    expect(got[1]).toEqual([0x10]);
    expect(ethernet.report().ports[0]).toMatchObject({ filtered: 3, flooded: 1, stations: 1 });
  });

  test("drops runts and giants, and counts them", () => {
    const { at, got, ethernet } = rig(2);
    for (const length of [0, 13, 16_385]) at(0).input(new Uint8Array(length).fill(2));
    at(0).input(frameOf(0xff, 1, 1, 16_384));
    expect(got[1]).toEqual([1]);
    expect(ethernet.report().ports[0]).toMatchObject({ malformed: 3, received: 1 });
  });

  test("counts for each port what its device took and what it refused", () => {
    const ethernet = createSwitch();
    const one = ethernet.join("one", () => true);
    let takes = true;
    ethernet.join("other", () => takes);
    one.input(frameOf(2, 1));
    takes = false;
    one.input(frameOf(2, 1));
    expect(ethernet.report().ports).toMatchObject([
      { name: "one", received: 2, sent: 0 },
      { name: "other", received: 0, sent: 1, refused: 1 },
    ]);
  });

  test("forgets who was at a port that leaves, and takes no more from it", () => {
    const { at, got, ethernet } = rig(3);
    at(1).input(frameOf(0xff, 2, 1));
    at(1).leave();
    at(1).input(frameOf(0xff, 2, 2));
    at(0).input(frameOf(2, 1, 3));
    expect(got).toEqual([[1], [], [1, 3]]);
    expect(ethernet.report().ports.map(({ name }) => name)).toEqual(["p0", "p2"]);
  });

  test("has no two ports of a name, and no more than it may have", () => {
    const { ethernet } = rig(2, { maxPorts: 3 });
    const refused = expect.objectContaining({ code: "ERR_VFMIG_SWITCH_PORT" });
    expect(() => ethernet.port("p0")).toThrow(refused);
    ethernet.port("p2").close();
    ethernet.port("p2");
    expect(() => ethernet.port("p3")).toThrow(refused);
  });

  test("hands over a device's answer after the frame that it answers, with the bytes it was sent with", () => {
    const ethernet = createSwitch({ clock: createManualClock() });
    const order: string[] = [];
    const buffer = new Uint8Array(60);
    const send = (to: number, from: number, mark: number, by: SwitchPort): void => {
      buffer.set(frameOf(to, from, mark));
      by.input(buffer);
    };
    const one: SwitchPort = ethernet.join("one", (frame) => {
      order.push(`one ${frame[14]}`);
      return true;
    });
    const two: SwitchPort = ethernet.join("two", (frame) => {
      order.push(`two ${frame[14]}`);
      if (frame[14] === 1) {
        send(0xff, 2, 2, two);
        send(0xff, 2, 3, two);
        buffer.set(frameOf(0xff, 1, 1));
      }
      return true;
    });
    ethernet.join("three", (frame) => {
      order.push(`three ${frame[14]}`);
      return true;
    });
    send(0xff, 1, 1, one);
    expect(order).toEqual(["two 1", "three 1", "one 2", "three 2", "one 3", "three 3"]);
  });

  test("ends an exchange of devices that answer each other for ever", () => {
    const ethernet = createSwitch();
    let answers = 0;
    const echo = (name: string, own: number): SwitchPort => {
      const port: SwitchPort = ethernet.join(name, () => {
        answers++;
        port.input(frameOf(0xff, own));
        return true;
      });
      return port;
    };
    const one = echo("one", 1);
    echo("two", 2);
    one.input(frameOf(0xff, 1));
    expect(answers).toBeLessThan(5000);
    const [first, second] = ethernet.report().ports;
    expect((first?.overrun ?? 0) + (second?.overrun ?? 0)).toBeGreaterThan(0);
  });

  test("joins devices in this process, and tells what they refused", () => {
    const ethernet = createSwitch();
    const a = ethernet.port("a");
    const b = ethernet.port("b");
    const got: number[] = [];
    a.transmit(frameOf(2, 1));
    b.attach((frame) => {
      got.push(frame.length);
      return frame.length > 1000 ? "too-long" : "filtered";
    });
    a.transmit(frameOf(2, 1));
    a.transmit(frameOf(2, 1, 0, 2000));
    b.close();
    a.transmit(frameOf(2, 1));
    expect(got).toEqual([60, 2000]);
    expect(ethernet.report().ports).toMatchObject([{ name: "a", received: 4 }]);
  });
});
