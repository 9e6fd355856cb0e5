import { Gate, MemoryDevice } from "../memory-device.ts";
import type { Random } from "./random.ts";

/** Write here: the device reads and writes the first mapping that only messages reach. */
export const REMOTE_REGISTER = 0x110;

/** A memory device that reaches memory by messages too, and is slow where the fuzzer says. */
export class FuzzDevice extends MemoryDevice {
  #gates: Gate[] = [];

  override writeRegion(index: number, offset: number, from: Uint8Array): void {
    if (index === 0 && offset === REMOTE_REGISTER) this.#reachRemote();
    // Configuration space stands still, so that the next client can be sure of it.
    else if (index === 7) return;
    else if (index === 0 && offset === 0x108 && from.length !== 4) return;
    else super.writeRegion(index, offset, from);
  }

  /** Makes some of what the device does wait for {@link FuzzDevice.openGates}. */
  closeGates(random: Random): void {
    if (random.oneIn(3)) this.migration.gate = this.#gate();
    if (random.oneIn(3)) this.migration.readGate = this.#gate();
    if (random.oneIn(3)) this.unmapGate = this.#gate();
    if (random.oneIn(3)) this.resetGate = this.#gate();
  }

  openGates(): void {
    // What the device notes for other tests would grow without end.
    this.irqRequests.length = 0;
    this.migration.walked.length = 0;
    this.migration.gate = undefined;
    this.migration.readGate = undefined;
    this.unmapGate = undefined;
    this.resetGate = undefined;
    for (const gate of this.#gates.splice(0)) gate.open();
  }

  #gate(): Gate {
    const gate = new Gate();
    this.#gates.push(gate);
    return gate;
  }

  #reachRemote(): void {
    for (const { iova, remote } of this.mappings.values()) {
      if (remote === undefined) continue;
      // A client that refuses or lies is what is tried here.
      remote.read(iova, new Uint8Array(64)).catch(() => {});
      remote.write(iova, new Uint8Array(16)).catch(() => {});
      return;
    }
  }
}
