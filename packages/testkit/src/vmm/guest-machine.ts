import { writeFileSync } from "node:fs";
import { systemClock, VfmigError, type IrqEvent } from "@vfmig/core";
import { createLinuxIo, EventFd, type MappedMemory, type NativeIo } from "@vfmig/linux";
import { connectVfioUser, type VfioUserClient } from "@vfmig/vfio-user";
import {
  createGuestDriver,
  GuestRam,
  type GuestDriver,
  type GuestDriverOptions,
} from "../guest/index.ts";
import { createIgbGuestDriver } from "../guest-igb/index.ts";
import { FlowLedger, FrameSource, Pacer, openTraffic, type TrafficPlan } from "../traffic/index.ts";
import { FollowedBar } from "./followed-bar.ts";
import type { GuestCommand, GuestDriverKind, GuestReport, MachineAddress } from "./ipc.ts";
import { moveGuest, type Machine, type MoveOutcome } from "./move.ts";
import { VirtualSlot } from "./virtual-slot.ts";

/** Where the guest's memory begins: above 4 GiB, so that both halves of an address matter. */
const RAM_IOVA = 0x1_0000_0000n;

const DRIVERS: Readonly<Record<GuestDriverKind, (options: GuestDriverOptions) => GuestDriver>> = {
  iavf: createGuestDriver,
  igbvf: createIgbGuestDriver,
};

interface OpenMachine extends Machine {
  readonly client: VfioUserClient;
  readonly memory: MappedMemory;
}

type OpenCommand = GuestCommand & { readonly do: "open" };

/** A guest with its VMM: memory on each host, a slot for the device, a driver, and traffic. */
export class GuestMachine implements AsyncDisposable {
  readonly #io: NativeIo;
  readonly #machines: readonly OpenMachine[];
  readonly #slot: VirtualSlot;
  readonly #driver: GuestDriver;
  readonly #source: FrameSource;
  readonly #ledger: FlowLedger;
  #current: OpenMachine;
  #pacer: Pacer | undefined;

  private constructor(
    io: NativeIo,
    machines: readonly [OpenMachine, ...OpenMachine[]],
    plan: TrafficPlan,
    { queuePairs, driver = "iavf" }: OpenCommand,
    onFault: (message: string) => void,
  ) {
    this.#io = io;
    this.#machines = machines;
    this.#current = machines[0];
    this.#source = new FrameSource(plan.fromGuest, plan.longest);
    this.#ledger = new FlowLedger(plan.toGuest.map(({ flow }) => flow));
    this.#slot = new VirtualSlot(machines[0].device);
    this.#driver = DRIVERS[driver]({
      device: this.#slot,
      ram: new GuestRam({ bytes: machines[0].ram, iova: RAM_IOVA }),
      clock: systemClock,
      createEvent: (onSignal) => this.#createEvent(onSignal),
      onFrame: (frame) => void this.#ledger.receive(frame),
      onFault: (fault) => onFault(fault.message),
      queuePairs,
      mac: plan.guestMac,
      multicast: plan.multicast,
      vlans: plan.vlans,
      mtu: plan.mtu,
      ...(plan.mtu > 1500 ? { txSegment: 2048 } : {}),
    });
  }

  /** Connects to every machine, and boots the guest on the first. */
  static async open(
    command: OpenCommand,
    onFault: (message: string) => void,
  ): Promise<GuestMachine> {
    const io = createLinuxIo();
    const plan = openTraffic(command.traffic, command.guestMac);
    const machines: OpenMachine[] = [];
    for (const address of command.machines) {
      machines.push(await connect(io, address, command));
    }
    const [first, ...others] = machines;
    if (first === undefined) throw guestError("it was given no machine");
    const guest = new GuestMachine(io, [first, ...others], plan, command, onFault);
    await guest.#driver.start();
    return guest;
  }

  /** Sends the capture's frames of this host, `rate` a second, evenly. */
  start(rate: number): void {
    this.#pacer = new Pacer({ clock: this.#driver.clock, rate, emit: () => this.#emit() });
    this.#pacer.start();
  }

  stop(): void {
    this.#pacer?.stop();
  }

  async move(to: string, saveStateTo: string | undefined): Promise<MoveOutcome> {
    const target = this.#machines.find(({ name }) => name === to);
    if (target === undefined || target === this.#current) {
      throw guestError(`it cannot move to "${to}" from "${this.#current.name}"`);
    }
    const state: Uint8Array[] = [];
    const outcome = await moveGuest({
      slot: this.#slot,
      source: this.#current,
      target,
      guest: this.#driver,
      ramIova: RAM_IOVA,
      clock: systemClock,
      onState: (chunk) => state.push(chunk.slice()),
    });
    this.#current = target;
    if (saveStateTo !== undefined) writeFileSync(saveStateTo, Buffer.concat(state));
    return outcome;
  }

  report(): GuestReport {
    return { sent: this.#source.sent(), received: this.#ledger.snapshot() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    for (const { client, memory } of this.#machines) {
      await client.close();
      memory[Symbol.dispose]();
    }
  }

  #emit(): boolean {
    if (!this.#driver.send(this.#source.peek())) return false;
    this.#source.take();
    return true;
  }

  #createEvent(onSignal: () => void): IrqEvent {
    const event = EventFd.create(this.#io);
    this.#io.watch(event.fd, () => {
      event.drain();
      onSignal();
    });
    return event;
  }
}

async function connect(
  io: NativeIo,
  { name, socketPath }: MachineAddress,
  { ramBytes, maps = false }: OpenCommand,
): Promise<OpenMachine> {
  const client = await connectVfioUser({ io, path: socketPath, regionFds: maps });
  const fd = io.memfd(`guest-ram-${name}`, ramBytes);
  const memory = io.mmap(fd, ramBytes);
  io.close(fd);
  const size = BigInt(ramBytes);
  await client.mapDma({ iova: RAM_IOVA, size, read: true, write: true, memory });
  const device = maps ? await FollowedBar.follow(client) : client.device;
  return { name, client, memory, device, ram: memory.bytes };
}

function guestError(why: string): VfmigError {
  return new VfmigError("ERR_VFMIG_TESTKIT_GUEST", `The guest cannot do that: ${why}.`, {
    layer: "testkit",
  });
}
