import type { SharedMemory } from "../../device/dma.ts";
import type { IrqData, IrqEvent } from "../../device/irqs.ts";
import type { RecordedCall } from "../events.ts";
import type { RecordedDevice } from "../recorder.ts";
import type { ReplayMemory } from "./guest-side.ts";

/** What a replayed call needs besides the device. */
export interface CallParts {
  readonly device: RecordedDevice;
  readonly memory: ReplayMemory;
  /** Zeroed memory for a mapping of so many bytes. */
  readonly allocate: (bytes: number) => SharedMemory;
  readonly eventOf: (index: number, vector: number) => IrqEvent;
}

/** Asks a device what was asked; `unoffered` where it has nothing that could be asked so. */
export function replayCall(call: RecordedCall, parts: CallParts): unknown {
  const { device, memory } = parts;
  const { migration, dmaLogging } = device;
  switch (call.name) {
    case "irqs":
      return device.setIrqs({ ...call, data: irqData(call, parts) });
    case "map":
      return map(call, parts);
    case "unmap":
      memory.unmap(call.iova);
      return device.unmapDma({ iova: BigInt(call.iova), size: BigInt(call.size) });
    case "reset":
      return device.reset();
    case "state":
      return migration === undefined ? unoffered : migration.setState(call.target);
    case "save":
      return migration === undefined ? unoffered : migration.readData(new Uint8Array(call.length));
    case "load":
      return migration === undefined ? unoffered : migration.writeData(call.data);
    case "size":
      return migration === undefined ? unoffered : migration.dataSize();
    case "precopy":
      return migration === undefined ? unoffered : migration.precopyInfo();
    case "log-start": {
      const { pageSize, ranges } = call;
      const asked = ranges.map((range) => ({ iova: BigInt(range.iova), size: BigInt(range.size) }));
      return dmaLogging === undefined ? unoffered : dmaLogging.start({ pageSize, ranges: asked });
    }
    case "log-stop":
      return dmaLogging === undefined ? unoffered : dmaLogging.stop();
    case "log-report": {
      const range = { iova: BigInt(call.iova), size: BigInt(call.size) };
      const bitmap = new Uint8Array(Math.ceil(call.size / call.pageSize / 8));
      return dmaLogging?.report(range, call.pageSize, bitmap) ?? unoffered;
    }
  }
}

/** The device does not offer what a recorded call asks of it. */
export const unoffered: unique symbol = Symbol("unoffered");

function map(call: Extract<RecordedCall, { name: "map" }>, parts: CallParts): void | Promise<void> {
  const { iova, size, read, write } = call;
  const memory = call.memory === "shared" ? parts.allocate(size) : undefined;
  if (memory !== undefined) parts.memory.map(iova, size, memory);
  return parts.device.mapDma({ iova: BigInt(iova), size: BigInt(size), read, write, memory });
}

function irqData(
  { index, start, count, kind, values }: Extract<RecordedCall, { name: "irqs" }>,
  { eventOf }: CallParts,
): IrqData {
  switch (kind) {
    case "none":
      return { kind };
    case "bool":
      return { kind, values: values ?? new Uint8Array(count) };
    case "event": {
      const given = [...(values ?? [])].slice(0, count);
      return {
        kind,
        events: given.map((one, i) => (one === 1 ? eventOf(index, start + i) : undefined)),
      };
    }
  }
}
