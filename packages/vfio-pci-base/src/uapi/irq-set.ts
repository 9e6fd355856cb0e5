import type { IrqRequest } from "@vfmig/core";
import { sized, type Struct } from "./struct.ts";

/** `struct vfio_irq_set`. */
export const IRQ_SET = { FLAGS: 4, INDEX: 8, START: 12, COUNT: 16, DATA: 20 } as const;
export const IRQ_DATA = { none: 1, bool: 2, event: 4 } as const;
export const IRQ_ACTION = { mask: 8, unmask: 16, trigger: 32 } as const;

/** Bytes that each vector's data takes. */
export const IRQ_ELEMENT = { none: 0, bool: 1, event: 4 } as const;

/** @param fdOf the eventfd for vector `start + i`, -1 for none */
export function irqSetRequest(request: IrqRequest, fdOf: (i: number) => number): Struct {
  const { index, start, count, action, data } = request;
  const made = sized(IRQ_SET.DATA + count * IRQ_ELEMENT[data.kind]);
  const { view, bytes } = made;
  view.setUint32(IRQ_SET.FLAGS, IRQ_DATA[data.kind] | IRQ_ACTION[action], true);
  view.setUint32(IRQ_SET.INDEX, index, true);
  view.setUint32(IRQ_SET.START, start, true);
  view.setUint32(IRQ_SET.COUNT, count, true);
  if (data.kind === "bool") bytes.set(data.values, IRQ_SET.DATA);
  if (data.kind === "event") {
    for (let i = 0; i < count; i += 1) view.setInt32(IRQ_SET.DATA + i * 4, fdOf(i), true);
  }
  return made;
}
