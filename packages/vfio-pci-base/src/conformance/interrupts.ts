import { PCI_IRQ, type IrqRequest } from "@vfmig/core";
import type { NativeIo } from "@vfmig/linux";
import type { VfioPciDevice } from "../device/vfio-pci-device.ts";
import { equal, refuses } from "./checks.ts";
import type { ConformanceCase } from "./subject.ts";

/** The message-signalled index with the most vectors. */
function messageIndex({ info }: VfioPciDevice): number | undefined {
  return [PCI_IRQ.MSIX, PCI_IRQ.MSI].find((index) => (info.irqs[index]?.count ?? 0) > 0);
}

const needsMessages = (device: VfioPciDevice): string | undefined =>
  messageIndex(device) === undefined ? "it has neither MSI nor MSI-X" : undefined;

const trigger = (
  index: number,
  start: number,
  count: number,
  data: IrqRequest["data"],
): IrqRequest => ({
  index,
  start,
  count,
  action: "trigger",
  data,
});

const off = (index: number): IrqRequest => trigger(index, 0, 0, { kind: "none" });

function events(io: NativeIo, count: number): { readonly fd: number; signal(): void }[] {
  return Array.from({ length: count }, () => {
    const fd = io.eventfd();
    return { fd, signal: () => io.signalEventfd(fd) };
  });
}

export const interruptCases: readonly ConformanceCase[] = [
  {
    id: "irqs.loopback",
    title: "Eventfds go to the kernel as they are: what it fires arrives, and nothing else",
    requires: needsMessages,
    async run({ open, io }) {
      await using device = await open();
      const index = messageIndex(device) ?? 0;
      const count = Math.min(2, device.info.irqs[index]?.count ?? 1);
      const given = events(io, count);
      try {
        device.setIrqs(trigger(index, 0, count, { kind: "event", events: given }));
        device.setIrqs(trigger(index, 0, 1, { kind: "none" }));
        const values = Uint8Array.from({ length: count }, () => 1);
        device.setIrqs(trigger(index, 0, count, { kind: "bool", values }));
        equal(io.drainEventfd(given[0]?.fd ?? -1), 2);
        if (count > 1) equal(io.drainEventfd(given[1]?.fd ?? -1), 1);
        device.setIrqs(off(index));
      } finally {
        for (const { fd } of given) io.close(fd);
      }
    },
  },
  {
    id: "irqs.replace",
    title: "A vector's target can be replaced and taken away while its index is enabled",
    requires: needsMessages,
    async run({ open, io }) {
      await using device = await open();
      const index = messageIndex(device) ?? 0;
      const [first, second] = events(io, 2);
      try {
        device.setIrqs(trigger(index, 0, 1, { kind: "event", events: [first] }));
        device.setIrqs(trigger(index, 0, 1, { kind: "event", events: [second] }));
        device.setIrqs(trigger(index, 0, 1, { kind: "none" }));
        equal(io.drainEventfd(first?.fd ?? -1), 0);
        equal(io.drainEventfd(second?.fd ?? -1), 1);
        device.setIrqs(trigger(index, 0, 1, { kind: "event", events: [undefined] }));
        device.setIrqs(trigger(index, 0, 1, { kind: "none" }));
        equal(io.drainEventfd(second?.fd ?? -1), 0);
        device.setIrqs(off(index));
      } finally {
        for (const each of [first, second]) if (each !== undefined) io.close(each.fd);
      }
    },
  },
  {
    id: "irqs.refusals",
    title: "Vectors that are not there, not enabled, or cannot be masked are refused",
    requires: needsMessages,
    async run({ open }) {
      await using device = await open();
      const index = messageIndex(device) ?? 0;
      const { count = 0 } = device.info.irqs[index] ?? {};
      const refused = (request: IrqRequest): Promise<unknown> =>
        refuses("ERR_VFMIG_IRQ_REQUEST", () => device.setIrqs(request));
      await refused(trigger(index, count, 1, { kind: "none" }));
      await refused(trigger(index, 0, 1, { kind: "none" }));
      await refused({ ...trigger(index, 0, 1, { kind: "none" }), action: "mask" });
      await refused(trigger(device.info.irqs.length, 0, 1, { kind: "none" }));
      await refused(trigger(index, 0, 1, { kind: "event", events: [{ signal() {} }] }));
    },
  },
  {
    id: "irqs.host-events",
    title: "The request of the host reaches a user who asked for it",
    requires: ({ info }) =>
      (info.irqs[PCI_IRQ.REQ]?.count ?? 0) === 0 ? "it has no request event" : undefined,
    async run({ open }) {
      await using device = await open();
      let heard = 0;
      const event = { signal: () => void (heard += 1) };
      device.setIrqs(trigger(PCI_IRQ.REQ, 0, 1, { kind: "event", events: [event] }));
      device.setIrqs(trigger(PCI_IRQ.REQ, 0, 1, { kind: "none" }));
      equal(heard, 1);
      device.setIrqs(off(PCI_IRQ.REQ));
    },
  },
];
