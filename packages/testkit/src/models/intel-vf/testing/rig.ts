import { type Logger, PCI_REGION } from "@vfmig/core";
import {
  type readAqDescriptor,
  RX_DESCRIPTOR_SIZE,
  TX_COMMAND,
  TX_DESCRIPTOR_SIZE,
  VF_REGISTER,
} from "@vfmig/iavf";
import { createManualClock, type ManualClock } from "../../../clock/manual-clock.ts";
import { createE810VfModel } from "../../e810-vf/e810-vf-model.ts";
import { createI40eVfModel } from "../../i40e-vf/i40e-vf-model.ts";
import type { VfModel } from "../create-vf-model.ts";
import type { VfModelOptions } from "../options.ts";
import { BareDriver } from "./bare-driver.ts";
import { Layout } from "./layout.ts";
import { TestPort } from "./test-port.ts";

export const RIG_MAC = "02:00:00:00:00:0a";
export const PEER_MAC = "02:00:00:00:00:0b";

/** IOVA of the memory's first byte: not 0, so that a missing base shows. */
export const IOVA = 0x1_4000_0000;

const LAYOUT = new Layout({ iova: IOVA, queues: 16, slots: 64, slotBytes: 4096 });

/** The models that a test runs on. */
export const VF_KINDS = ["i40e-vf", "e810-vf"] as const;
export type VfKind = (typeof VF_KINDS)[number];

export interface RigOptions extends Partial<VfModelOptions> {
  /** Default: a 700-series VF. */
  readonly kind?: VfKind;
  readonly logger?: Logger;
}

/** A model with a driver of the plainest kind, and what a test does wrong with it on purpose. */
export class Rig extends BareDriver {
  readonly clock: ManualClock;
  readonly port: TestPort;
  readonly model: VfModel;

  constructor({ kind = "i40e-vf", vsiId, ...rest }: RigOptions = {}) {
    const clock = createManualClock();
    const port = new TestPort();
    const context = { name: "vf0", mac: RIG_MAC, port, clock };
    const model =
      kind === "i40e-vf"
        ? createI40eVfModel({ ...context, ...without(rest), vsiId: vsiId ?? 7 })
        : createE810VfModel({ ...context, ...rest });
    super(model.device, LAYOUT, () => clock.runSoon());
    this.clock = clock;
    this.port = port;
    this.model = model;
  }

  readConfig(offset: number, size: 1 | 2 | 4): number {
    const bytes = new Uint8Array(4);
    this.device.readRegion(PCI_REGION.CONFIG, offset, bytes.subarray(0, size));
    return new DataView(bytes.buffer).getUint32(0, true);
  }

  writeConfig(offset: number, value: number, size: 1 | 2 | 4): void {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value >>> 0, true);
    this.device.writeRegion(PCI_REGION.CONFIG, offset, bytes.subarray(0, size));
  }

  /** Puts a request into the send ring and rings the doorbell; runs nothing. Returns its ring place. */
  send(opcode: number, body: Uint8Array = new Uint8Array(0), aqOpcode?: number): number {
    return this.mailbox.send(opcode, body, aqOpcode);
  }

  /** The send ring's descriptor at `index`. */
  request(index: number): ReturnType<typeof readAqDescriptor> {
    return this.mailbox.request(index);
  }

  txRing(queue: number): number {
    return this.layout.txRing(queue);
  }

  rxRing(queue: number): number {
    return this.layout.rxRing(queue);
  }

  /** Where receive buffer `index` of `queue` stands in memory. */
  rxBuffer(queue: number, index: number): number {
    return this.layout.rxBuffer(queue, index);
  }

  /** Where the bytes of transmit descriptor `index` of `queue` stand in memory. */
  txBuffer(queue: number, index: number): number {
    return this.layout.txBuffer(queue, index);
  }

  /** The write-back at `index`: halves of quadword 1, hash and tag. */
  rxBack(queue: number, index: number): { low: number; high: number; hash: number; tag: number } {
    const place = this.rxRing(queue) + index * RX_DESCRIPTOR_SIZE;
    return {
      low: this.data.getUint32(place + 8, true),
      high: this.data.getUint32(place + 12, true),
      hash: this.data.getUint32(place + 4, true),
      tag: this.data.getUint16(place + 2, true),
    };
  }

  /** Writes a context descriptor at ring place `index`. */
  putContext(
    queue: number,
    index: number,
    fields: { command?: number; tunnel?: number; tag2?: number; length?: number; mss?: number },
  ): void {
    const { command = 0, tunnel = 0, tag2 = 0, length = 0, mss = 0 } = fields;
    const place = this.txRing(queue) + index * TX_DESCRIPTOR_SIZE;
    this.data.setUint32(place, tunnel, true);
    this.data.setUint32(place + 4, tag2, true);
    this.data.setUint32(place + 8, (1 | command | ((length & 3) << 30)) >>> 0, true);
    this.data.setUint32(place + 12, ((length >>> 2) | (mss << 18)) >>> 0, true);
  }

  /** Adds header lengths (bytes) to the data descriptor at `place`. */
  setOffsets(place: number, mac: number, ip: number, l4: number): void {
    const low = this.data.getUint32(place + 8, true);
    const high = this.data.getUint32(place + 12, true);
    const words = ((mac / 2) << 16) | ((ip / 4) << 23) | (((l4 / 4) & 3) << 30);
    this.data.setUint32(place + 8, (low | words) >>> 0, true);
    this.data.setUint32(place + 12, (high | ((l4 / 4) >>> 2)) >>> 0, true);
  }

  /** Writes a data descriptor with its bytes at ring place `index`. */
  putTx(
    queue: number,
    index: number,
    bytes: Uint8Array,
    command: number = TX_COMMAND.EOP | TX_COMMAND.RS,
    tag = 0,
  ): number {
    this.memory.set(bytes, this.txBuffer(queue, index));
    return this.postTx(queue, index, bytes.length, command, tag);
  }

  /** Rings the Tx doorbell and lets the device work. */
  kickTx(queue: number, tail: number): void {
    this.txTail(queue, tail);
    this.clock.runSoon();
  }
}

/** The options that an i40e's VF has. */
function without(options: RigOptions): RigOptions {
  const { doubleVlan: _doubleVlan, qos: _qos, ...rest } = options;
  return rest;
}

/** A register of the mailbox vector: arms it and lets admin queue causes in. */
export function armMailbox(rig: Rig): void {
  rig.arm(0);
  rig.write(VF_REGISTER.VFINT_ICR0_ENA1, 0x4000_0000);
}

/** A running function with `pairs` queue pairs. */
export function startedRig(
  pairs = 1,
  options: RigOptions = {},
  length = 64,
  bufferSize = 2048,
): Rig {
  const rig = new Rig(options);
  rig.negotiate();
  rig.startQueues(pairs, length, bufferSize);
  return rig;
}

/** Makers of rigs with one kind of VF. */
export interface Rigs {
  readonly newRig: (options?: RigOptions) => Rig;
  readonly startedRig: (
    pairs?: number,
    options?: RigOptions,
    length?: number,
    bufferSize?: number,
  ) => Rig;
}

export function rigsOf(kind: VfKind): Rigs {
  return {
    newRig: (options) => new Rig({ kind, ...options }),
    startedRig: (pairs, options, length, bufferSize) =>
      startedRig(pairs, { kind, ...options }, length, bufferSize),
  };
}
