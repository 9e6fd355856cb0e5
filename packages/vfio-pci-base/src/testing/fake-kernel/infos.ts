import { no, taken } from "./errno.ts";
import { REGION_SHIFT, type FakeFunction } from "./function.ts";

/** The description of a device (`vfio_pci_core.c`): answers 0 or an errno, and fills the request. */
export function answerInfo(fn: FakeFunction, argument: Uint8Array | number): number {
  const view = taken(argument, 16);
  if (view === undefined) return no("EINVAL");
  const { functionReset, regions, irqs } = fn.settings;
  // Mediated devices pretend to be PCI functions too.
  view.setUint32(4, (functionReset === false ? 0 : 1) | 2, true);
  view.setUint32(8, regions.length, true);
  view.setUint32(12, irqs.length, true);
  return 0;
}

export function answerRegionInfo(fn: FakeFunction, argument: Uint8Array | number): number {
  const view = taken(argument, 32);
  if (view === undefined) return no("EINVAL");
  const index = view.getUint32(8, true);
  if (index >= fn.settings.regions.length) return no("EINVAL");
  const region = fn.settings.regions[index];
  // VGA: not just empty, but unknown.
  if (region === undefined && index === 8) return no("EINVAL");
  const room = view.getUint32(0, true);
  view.setBigUint64(16, BigInt(region?.memory.length ?? 0), true);
  view.setBigUint64(24, BigInt(index * REGION_SHIFT), true);
  view.setUint32(4, region?.flags ?? 0, true);
  view.setUint32(12, 0, true);
  const sparse = region?.sparse;
  const sparseBytes = sparse === undefined ? 0 : 16 + sparse.length * 16;
  const all = 32 + sparseBytes + (region?.msixMappable === true ? 8 : 0);
  if (all === 32 || region === undefined) return 0;
  view.setUint32(4, region.flags | 8, true);
  view.setUint32(0, all, true);
  if (room < all) return 0;
  view.setUint32(12, 32, true);
  if (sparse !== undefined) {
    view.setUint16(32, 1, true);
    view.setUint16(34, 1, true);
    view.setUint32(36, region.msixMappable === true ? 32 + sparseBytes : 0, true);
    view.setUint32(40, sparse.length, true);
    for (const [i, { offset, size }] of sparse.entries()) {
      view.setBigUint64(48 + i * 16, BigInt(offset), true);
      view.setBigUint64(56 + i * 16, BigInt(size), true);
    }
  }
  if (region.msixMappable === true) view.setUint16(32 + sparseBytes, 3, true);
  return 0;
}

export function answerIrqInfo(fn: FakeFunction, argument: Uint8Array | number): number {
  const view = taken(argument, 16);
  if (view === undefined) return no("EINVAL");
  const irq = fn.settings.irqs[view.getUint32(8, true)];
  if (irq === undefined) return no("EINVAL");
  view.setUint32(4, irq.flags, true);
  view.setUint32(12, irq.count, true);
  return 0;
}

export function answerHotResetInfo(
  fn: FakeFunction,
  argument: Uint8Array | number,
  byId: boolean,
): number {
  const view = taken(argument, 12);
  const { bus } = fn.settings;
  if (view === undefined) return no("EINVAL");
  if (bus === undefined) return no("ENODEV");
  const room = Math.floor((view.getUint32(0, true) - 12) / 8);
  view.setUint32(8, bus.length, true);
  if (room < bus.length) return no("ENOSPC");
  const owned = bus.every((each) => each.owned);
  view.setUint32(4, byId ? 1 | (owned ? 2 : 0) : 0, true);
  for (const [i, each] of bus.entries()) {
    view.setInt32(12 + i * 8, byId ? (each.owned ? 0 : -1) : each.group, true);
    view.setUint16(16 + i * 8, 0, true);
    view.setUint8(18 + i * 8, 1);
    view.setUint8(19 + i * 8, each.devfn);
  }
  return 0;
}

export function answerHotReset(
  fn: FakeFunction,
  argument: Uint8Array | number,
  byId: boolean,
): number {
  const view = taken(argument, 12);
  const { bus } = fn.settings;
  if (view === undefined || bus === undefined) return no("EINVAL");
  const count = view.getUint32(8, true);
  if (view.getUint32(0, true) < 12 + count * 4 || byId !== (count === 0)) return no("EINVAL");
  if (!bus.every((each) => each.owned)) return no("EINVAL");
  fn.busResets += 1;
  return fn.reset();
}
