import { hasType, IRQ_TYPE, type IrqInfo } from "@vfmig/core";

/**
 * A remote device's irq indexes as those of a base. The one for changes of layout is left out: a base's
 * regions are reached by messages alone, so that no layout of the server's concerns its users, and a device
 * composed on it has an index of this type of its own, which they must find.
 */
export function ownIrqs(irqs: readonly IrqInfo[]): readonly IrqInfo[] {
  const isLayout = ({ type }: IrqInfo): boolean => hasType(type, IRQ_TYPE.LAYOUT);
  const kept = irqs.slice(0, irqs.findLastIndex((info) => !isLayout(info)) + 1);
  return kept.map((info) =>
    isLayout(info) ? { ...info, count: 0, eventfd: false, type: undefined } : info,
  );
}
