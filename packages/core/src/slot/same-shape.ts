import type { DeviceInfo, SpecificType } from "../device/info.ts";
import type { VfioDevice } from "../device/vfio-device.ts";
import { configSignature, hasConfigSpace } from "./config-space.ts";

/**
 * The first thing by which a user could tell `next` from `current` without asking it anything; undefined
 * where there is none.
 */
export function shapeDifference(current: VfioDevice, next: VfioDevice): string | undefined {
  return (
    infoDifference(current.info, next.info) ??
    (hasConfigSpace(current) ? configDifference(current, next) : undefined)
  );
}

function infoDifference(was: DeviceInfo, is: DeviceInfo): string | undefined {
  if (was.pci !== is.pci) return `pci is ${is.pci}, not ${was.pci}`;
  if (was.resettable !== is.resettable) return `resettable is ${is.resettable}`;
  if (was.regions.length !== is.regions.length) {
    return `it has ${is.regions.length} regions, not ${was.regions.length}`;
  }
  if (was.irqs.length !== is.irqs.length) {
    return `it has ${is.irqs.length} irq indexes, not ${was.irqs.length}`;
  }
  return regionDifference(was, is) ?? irqDifference(was, is);
}

function regionDifference(was: DeviceInfo, is: DeviceInfo): string | undefined {
  for (const [i, a] of was.regions.entries()) {
    const b = is.regions[i];
    if (b?.size !== a.size) return `region ${i} has ${b?.size ?? 0} bytes, not ${a.size}`;
    if (b.read !== a.read || b.write !== a.write) return `region ${i} has other rights`;
    if (!sameType(a.type, b.type)) return `region ${i} is for something else`;
  }
  return undefined;
}

function irqDifference(was: DeviceInfo, is: DeviceInfo): string | undefined {
  for (const [i, a] of was.irqs.entries()) {
    const b = is.irqs[i];
    if (b?.count !== a.count) return `irq index ${i} has ${b?.count ?? 0} vectors, not ${a.count}`;
    if (b.eventfd !== a.eventfd || b.maskable !== a.maskable || b.automasked !== a.automasked) {
      return `irq index ${i} works otherwise`;
    }
    if (!sameType(a.type, b.type)) return `irq index ${i} is for something else`;
  }
  return undefined;
}

function configDifference(current: VfioDevice, next: VfioDevice): string | undefined {
  const [was, is] = [configSignature(current), configSignature(next)];
  return was === is ? undefined : `its configuration space reads ${is}, not ${was}`;
}

function sameType(a: SpecificType | undefined, b: SpecificType | undefined): boolean {
  return a?.type === b?.type && a?.subtype === b?.subtype;
}
