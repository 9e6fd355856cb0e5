import { createFakeIo } from "@vfmig/linux/fake";
import { expect, it } from "vitest";
import { createIrqEvent } from "./irq-event.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it("is a plain call for a base in this process, without any descriptor", () => {
  const io = createFakeIo();
  let heard = 0;
  using event = createIrqEvent(io, () => (heard += 1));
  event.signal();
  expect([heard, io.openFds]).toEqual([1, 0]);
});

it("is an eventfd for a base that hands it to a kernel, and is heard whoever signals it", async () => {
  const io = createFakeIo();
  let heard = 0;
  const event = createIrqEvent(io, () => (heard += 1));
  const { fd = -1 } = event;
  expect(event.fd).toBe(fd);
  io.signalEventfd(fd);
  io.signalEventfd(fd);
  await turn();
  event.signal();
  expect([heard, io.openFds]).toEqual([2, 1]);
  event[Symbol.dispose]();
  expect(io.openFds).toBe(0);
});
