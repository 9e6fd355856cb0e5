import type { VfioDevice } from "@vfmig/core";
import { expect } from "vitest";
import { createManualClock, type ManualClock } from "../../clock/manual-clock.ts";
import {
  createI40eVfModel,
  type CreateI40eVfModelOptions,
  type I40eVfModel,
} from "../../models/i40e-vf/i40e-vf-model.ts";
import { createE810VfModel } from "../../models/e810-vf/e810-vf-model.ts";
import { FlowLedger } from "../../traffic/flow-ledger.ts";
import { markFrame } from "../../traffic/trailer.ts";
import { createLoosePort, type LoosePort } from "../../wire/memory-port.ts";
import type { GuestFault } from "../../guest/fault.ts";
import { GuestRam } from "../../guest/guest-ram.ts";
import {
  directEvent,
  type GuestDriverOptions,
  type VirtchnlGuestDriver,
} from "../../guest/options.ts";
import { createGuestDriver } from "../driver.ts";

export const guestMac = "02:00:00:00:00:0a";

export const ramIova = 0x1_0000_0000n;

export interface Rig {
  readonly clock: ManualClock;
  readonly port: LoosePort;
  readonly model: I40eVfModel;
  readonly ram: GuestRam;
  readonly driver: VirtchnlGuestDriver;
  readonly received: Uint8Array[];
  readonly faults: GuestFault[];
}

export const KINDS = ["i40e-vf", "e810-vf"] as const;

export type Kind = (typeof KINDS)[number];

export interface RigOptions {
  /** Default: a 700-series VF. */
  readonly kind?: Kind;
  readonly model?: Partial<CreateI40eVfModelOptions>;
  readonly driver?: Partial<GuestDriverOptions>;
  readonly wrap?: (device: VfioDevice) => VfioDevice;
}

export function newModel(clock: ManualClock, port: LoosePort, options: RigOptions): I40eVfModel {
  const vf = { name: "vf0", mac: guestMac, port: port.port, clock };
  if (options.kind !== "e810-vf") return createI40eVfModel({ ...vf, vsiId: 7, ...options.model });
  return createE810VfModel({ ...vf, ...options.model });
}

export function mapRam(device: VfioDevice, bytes: Uint8Array): void {
  const size = BigInt(bytes.length);
  void device.mapDma({ iova: ramIova, size, read: true, write: true, memory: { bytes } });
}

export function newRig(options: RigOptions = {}): Rig {
  const clock = createManualClock();
  const port = createLoosePort(clock);
  const model = newModel(clock, port, options);
  const ram = new GuestRam({ bytes: new Uint8Array(32 << 20), iova: ramIova });
  mapRam(model.device, ram.bytes);
  const received: Uint8Array[] = [];
  const faults: GuestFault[] = [];
  const driver = createGuestDriver({
    device: options.wrap?.(model.device) ?? model.device,
    ram,
    clock,
    createEvent: directEvent,
    onFrame: (frame) => received.push(frame.slice()),
    onFault: (fault) => faults.push(fault),
    ...options.driver,
  });
  return { clock, port, model, ram, driver, received, faults };
}

export async function startedOn(options: RigOptions = {}): Promise<Rig> {
  const rig = newRig(options);
  const started = rig.driver.start();
  rig.clock.advance(1000);
  await started;
  return rig;
}

/** A UDP frame; `flow` chooses the ports, and with them the queues. */
export function udp(from: number, to: number, flow: number, length = 100): Uint8Array {
  const frame = new Uint8Array(length);
  frame.set([2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 8, 0, 0x45, 0]);
  frame.set([(length - 14) >> 8, (length - 14) & 0xff], 16);
  frame.set([64, 17], 22);
  frame.set([192, 0, 2, from, 192, 0, 2, to, 0x10, flow, 0x20, flow], 26);
  frame.set([(length - 34) >> 8, (length - 34) & 0xff], 38);
  let sum = 0;
  for (let at = 14; at < 34; at += 2) sum += ((frame[at] ?? 0) << 8) | (frame[at + 1] ?? 0);
  const check = ~((sum & 0xffff) + (sum >>> 16)) & 0xffff;
  frame.set([check >> 8, check & 0xff], 24);
  return frame;
}

/** `count` frames each way over eight flows, in steps that keep rings from overflowing. */
export function exchange(
  rig: Rig,
  count: number,
  firstSequence = 0,
): { in: FlowLedger; out: FlowLedger } {
  const flows = Array.from({ length: 8 }, (_, flow) => flow);
  const ledgers = { in: new FlowLedger(flows), out: new FlowLedger(flows) };
  rig.received.length = 0;
  rig.port.sent.length = 0;
  const inward = flows.map((flow) => markFrame(udp(0x0b, 0x0a, flow, 60 + 180 * flow), flow));
  const outward = flows.map((flow) => markFrame(udp(0x0a, 0x0b, flow, 60 + 180 * flow), flow));
  for (let n = 0; n < count; n++) {
    const sequence = firstSequence + Math.floor(n / 8);
    expect(rig.port.deliver(inward[n % 8]?.stamp(sequence) ?? new Uint8Array(0))).toBe("accepted");
    expect(rig.driver.send(outward[n % 8]?.stamp(sequence) ?? new Uint8Array(0))).toBe(true);
    if (n % 24 === 23) rig.clock.advance(1);
  }
  rig.clock.advance(5);
  for (const frame of rig.received) ledgers.in.receive(frame);
  for (const frame of rig.port.sent) ledgers.out.receive(frame);
  return ledgers;
}
