import type { IrqInfo } from "../device/info.ts";
import type { IrqRequest } from "../device/irqs.ts";
import { VfmigError, type Layer } from "../errors/vfmig-error.ts";

/**
 * The rules of `VFIO_DEVICE_SET_IRQS` that need no memory of earlier requests: a known index, a range
 * inside it, as many values as vectors, and an action that the index allows. What depends on earlier
 * requests (enabled or not, one of INTx, MSI and MSI-X at a time) is checked by `IrqVectors`.
 *
 * @param irqs - the device's indexes
 * @param layer - who refuses; default `core`
 * @throws VfmigError `ERR_VFMIG_IRQ_REQUEST`; `details.errno` is `ENOTTY` for an action that the index
 * does not offer, else `EINVAL`
 */
export function checkIrqRequest(
  irqs: readonly IrqInfo[],
  request: IrqRequest,
  layer: Layer = "core",
): void {
  const { index, start, count, action, data } = request;
  const info = Number.isSafeInteger(index) ? irqs[index] : undefined;
  if (info === undefined) throw irqError(request, "the device has no such index", layer);
  if (!isCount(start) || !isCount(count)) {
    throw irqError(request, "start and count must be whole numbers from 0 to 2^32-1", layer);
  }
  if (start >= info.count || count > info.count - start) {
    throw irqError(request, `the index has ${info.count} vectors`, layer);
  }
  checkData(request, layer);
  if (action === "mask" || action === "unmask") {
    if (!info.maskable) {
      throw irqError(request, "the index cannot be masked", layer, "ENOTTY");
    }
    if (action === "mask" && data.kind === "event") {
      throw irqError(request, "masking by an event is not offered", layer, "ENOTTY");
    }
  } else if (action !== "trigger") {
    throw irqError(request, `${String(action)} is no action`, layer);
  }
  if (data.kind === "event" && !info.eventfd) {
    throw irqError(request, "the index takes no events", layer);
  }
  if (count === 0 && !(action === "trigger" && data.kind === "none")) {
    throw irqError(request, "a count of 0 means only to disable: trigger, without data", layer);
  }
}

/** True for the one request that disables a whole index. */
export function isIrqDisable(request: IrqRequest): boolean {
  return request.action === "trigger" && request.data.kind === "none" && request.count === 0;
}

/** The refusal of a request, with what it asked for. */
export function irqError(
  request: IrqRequest,
  why: string,
  layer: Layer,
  errno = "EINVAL",
): VfmigError {
  const { index, start, count, action, data } = request;
  const what = `${action} with ${data.kind}, index ${index}, start ${start}, count ${count}`;
  return new VfmigError(
    "ERR_VFMIG_IRQ_REQUEST",
    `Cannot set interrupts (${what}): ${why}. No interrupt was changed.`,
    { layer, details: { index, start, count, action, data: data.kind, errno } },
  );
}

function isCount(value: unknown): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;
}

function checkData(request: IrqRequest, layer: Layer): void {
  const { count, data } = request;
  if (data.kind === "none") return;
  if (data.kind !== "bool" && data.kind !== "event") {
    throw irqError(request, "data must be exactly one of none, bool and event", layer);
  }
  const values = data.kind === "bool" ? data.values.length : data.events.length;
  if (values !== count) {
    throw irqError(request, `it carries ${values} values for ${count} vectors`, layer);
  }
}
