import { expect, test } from "vitest";
import { createManualClock } from "../../clock/manual-clock.ts";
import { createGuestDriver } from "../../guest-iavf/driver.ts";
import { GuestRam } from "../../guest/guest-ram.ts";
import { directEvent } from "../../guest/options.ts";
import { createE810VfModel } from "../../models/e810-vf/e810-vf-model.ts";
import { createI40eVfModel } from "../../models/i40e-vf/i40e-vf-model.ts";
import { frameOf } from "../testing/frames.ts";
import { createSwitch } from "./learning-switch.ts";

const MODELS = { i40e: createI40eVfModel, e810: createE810VfModel } as const;

/** Guests 1, 2 and 3 with a VF each at one switch, and the marks of the frames that each received. */
async function guestsAtASwitch() {
  const clock = createManualClock();
  const ethernet = createSwitch({ clock });
  const kinds = ["i40e", "i40e", "e810"] as const;
  const guests = kinds.map((kind, index) => {
    const name = `vf${index + 1}`;
    const { device } = MODELS[kind]({
      name,
      mac: `02:00:00:00:00:0${index + 1}`,
      vsiId: 1 + (kind === "i40e" ? index : 0),
      port: ethernet.port(name),
      clock,
    });
    const bytes = new Uint8Array(32 << 20);
    const size = BigInt(bytes.length);
    void device.mapDma({ iova: 0n, size, read: true, write: true, memory: { bytes } });
    const got: number[] = [];
    const driver = createGuestDriver({
      device,
      ram: new GuestRam({ bytes }),
      clock,
      createEvent: directEvent,
      onFrame: (frame) => void got.push(frame[14] ?? -1),
      onFault: (fault) => expect.unreachable(fault.message),
    });
    return { driver, got, device };
  });
  const started = Promise.all(guests.map(({ driver }) => driver.start()));
  clock.advance(1000);
  await started;
  const [one, two, three] = guests;
  if (one === undefined || two === undefined || three === undefined) throw new Error("no guests");
  const send = (guest: typeof one, frame: Uint8Array): void => {
    expect(guest.driver.send(frame)).toBe(true);
    clock.advance(5);
  };
  return { one, two, three, send, ethernet };
}

test("models of both kinds at one switch hear each other, and only what is for them", async () => {
  const { one, two, three, send, ethernet } = await guestsAtASwitch();
  send(one, frameOf(0xff, 1, 11));
  expect([one.got, two.got, three.got]).toEqual([[], [11], [11]]);
  send(three, frameOf(1, 3, 33));
  send(one, frameOf(3, 1, 13));
  send(two, frameOf(3, 2, 23));
  expect([one.got, two.got, three.got]).toEqual([[33], [11], [11, 13, 23]]);
  const received = ethernet.report().ports.map((port) => port.received);
  expect(received).toEqual([2, 1, 1]);
});

test("a model that is closed leaves the switch, and the others go on", async () => {
  const { one, two, three, send, ethernet } = await guestsAtASwitch();
  three.driver.pause();
  await three.device[Symbol.asyncDispose]();
  expect(ethernet.report().ports.map(({ name }) => name)).toEqual(["vf1", "vf2"]);
  send(one, frameOf(2, 1, 5));
  expect(two.got).toEqual([5]);
});
