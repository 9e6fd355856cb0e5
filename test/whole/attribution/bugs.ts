import { PCI_REGION, type SubDriverDefinition, type VfioDevice } from "@vfmig/core";

/** The PCI status register, which a guest reads and no plugin takes over; 66 MHz means nothing here. */
const STATUS = 0x06;
const MHZ_66 = 0x20;

/** Something of which one member is another. */
export function changed<T extends object>(whole: T, change: Partial<T>): T {
  return new Proxy(whole, {
    get(target, name) {
      const value: unknown = Reflect.get(Object.hasOwn(change, name) ? change : target, name);
      return typeof value === "function" ? (value as () => void).bind(target) : value;
    },
  });
}

/** Flips a bit of what a register tells. */
export const flippedBit = (device: VfioDevice): VfioDevice =>
  changed(device, {
    readRegion(index, offset, into) {
      device.readRegion(index, offset, into);
      if (index === PCI_REGION.CONFIG && offset === STATUS) into[0] = (into[0] ?? 0) ^ MHZ_66;
    },
  });

/** Swallows what vector 1 tells. */
export const lostInterrupts = (device: VfioDevice): VfioDevice =>
  changed(device, {
    setIrqs(request) {
      if (request.data.kind !== "event") return device.setIrqs(request);
      const events = request.data.events.map((event, i) =>
        event && request.start + i === 1 ? { signal() {} } : event,
      );
      device.setIrqs({ ...request, data: { kind: "event", events } });
    },
  });

/** A plugin that answers otherwise in what it takes over: the length of the mailbox's ring. */
export const wrongAnswer = (definition: SubDriverDefinition): SubDriverDefinition => ({
  ...definition,
  async attach(context) {
    const attached = await definition.attach(context);
    const regions = attached.regions?.map((facet) =>
      changed(facet, {
        read(offset, into) {
          facet.read(offset, into);
          // VFGEN_RSTAT: the guest looks at the two low bits, and reads all of it.
          if (facet.index === PCI_REGION.BAR0 && offset === 0x8800) into[1] = (into[1] ?? 0) ^ 0x80;
        },
      }),
    );
    return regions === undefined ? attached : changed(attached, { regions });
  },
});

/** A plugin that changes what the device tells the guest in memory. */
export const wrongMemory = (definition: SubDriverDefinition): SubDriverDefinition => ({
  ...definition,
  attach: (context) =>
    definition.attach({
      ...context,
      memory: changed(context.memory, {
        write(iova, from) {
          const bytes = from.slice();
          bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
          context.memory.write(iova, bytes);
        },
      }),
    }),
});

/** A plugin that shows another capability, the first one, than it says it changes. */
export const otherCapability = (definition: SubDriverDefinition): SubDriverDefinition => ({
  ...definition,
  attach: (context) =>
    definition.attach({
      ...context,
      memory: changed(context.memory, {
        write(iova, from) {
          const bytes = from.slice();
          // Only GET_VF_RESOURCES is answered with so many bytes and one VSI.
          if (bytes.length >= 36 && bytes[0] === 1) bytes[8] = (bytes[8] ?? 0) ^ 1;
          context.memory.write(iova, bytes);
        },
      }),
    }),
});
