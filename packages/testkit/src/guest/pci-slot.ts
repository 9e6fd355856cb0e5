import { type IrqEvent, PCI_IRQ, PCI_REGION, type VfioDevice } from "@vfmig/core";
import { GuestFault } from "./fault.ts";

/** PCI configuration header and the MSI-X capability (PCI Local Bus 3.0, 6.1 and 6.8.2). */
const CONFIG = {
  VENDOR: 0x00,
  DEVICE: 0x02,
  COMMAND: 0x04,
  STATUS: 0x06,
  CAPABILITIES: 0x34,
} as const;
const COMMAND_MEMORY = 0x2;
const COMMAND_BUS_MASTER = 0x4;
const STATUS_CAPABILITIES = 0x10;
const CAPABILITY_MSIX = 0x11;
const MSIX_ENABLE = 0x8000;
const MSIX_COUNT_MASK = 0x7ff;

const INTEL = 0x8086;

/** What a driver looks for in the slot. */
export interface DriverMatch {
  /** Intel's device ids that it binds. */
  readonly devices: ReadonlySet<number>;
  /** Least bytes of BAR0. */
  readonly bar0: number;
}

/** The device as the guest's PCI core sees it: config space, BAR0, interrupts. */
export class PciSlot {
  #device: VfioDevice;
  #events: readonly IrqEvent[] = [];
  readonly #word = new Uint8Array(4);
  readonly #half = new Uint8Array(2);
  readonly #data = new DataView(this.#word.buffer);
  #busMaster = false;

  constructor(device: VfioDevice) {
    this.#device = device;
  }

  /**
   * Looks at the function as `pci_enable_device` and a driver's probe do.
   * @throws GuestFault
   */
  probe(match: DriverMatch): void {
    const vendor = this.#config16(CONFIG.VENDOR);
    const device = this.#config16(CONFIG.DEVICE);
    if (vendor !== INTEL || !match.devices.has(device)) {
      throw new GuestFault(
        "device",
        `${vendor.toString(16)}:${device.toString(16)} is no Intel VF`,
        {
          vendor,
          device,
        },
      );
    }
    if ((this.#device.info.regions[PCI_REGION.BAR0]?.size ?? 0) < match.bar0) {
      throw new GuestFault("device", `BAR0 is smaller than ${match.bar0} bytes`);
    }
    this.setBusMaster();
  }

  setBusMaster(): void {
    this.#busMaster = true;
    const command = this.#config16(CONFIG.COMMAND) | COMMAND_MEMORY | COMMAND_BUS_MASTER;
    this.#setConfig16(CONFIG.COMMAND, command);
  }

  /**
   * Enables MSI-X with one event per vector.
   * @throws GuestFault where the function has fewer vectors
   */
  enableInterrupts(events: readonly IrqEvent[]): void {
    const capability = this.#msixCapability();
    const vectors = (this.#config16(capability + 2) & MSIX_COUNT_MASK) + 1;
    if (vectors < events.length) {
      throw new GuestFault("device", `MSI-X has ${vectors} vectors, ${events.length} are needed`);
    }
    this.#events = events;
    this.#setVectors(this.#device);
    this.#setConfig16(capability + 2, this.#config16(capability + 2) | MSIX_ENABLE);
  }

  disableInterrupts(): void {
    if (this.#events.length === 0) return;
    this.#events = [];
    this.#takeVectors(this.#device);
  }

  /** Another device takes the slot, set up by the VMM as the one before was. */
  replace(device: VfioDevice): void {
    if (device === this.#device) return;
    const before = this.#device;
    this.#device = device;
    if (this.#busMaster) this.setBusMaster();
    if (this.#events.length === 0) return;
    this.#setVectors(device);
    this.#takeVectors(before);
  }

  read32(offset: number): number {
    this.#device.readRegion(PCI_REGION.BAR0, offset, this.#word);
    return this.#data.getUint32(0, true);
  }

  write32(offset: number, value: number): void {
    this.#data.setUint32(0, value, true);
    this.#device.writeRegion(PCI_REGION.BAR0, offset, this.#word);
  }

  #setVectors(device: VfioDevice): void {
    const data = { kind: "event", events: this.#events } as const;
    const count = this.#events.length;
    device.setIrqs({ index: PCI_IRQ.MSIX, start: 0, count, action: "trigger", data });
  }

  #takeVectors(device: VfioDevice): void {
    const data = { kind: "none" } as const;
    device.setIrqs({ index: PCI_IRQ.MSIX, start: 0, count: 0, action: "trigger", data });
  }

  #msixCapability(): number {
    if ((this.#config16(CONFIG.STATUS) & STATUS_CAPABILITIES) === 0) {
      throw new GuestFault("device", "the function has no capability list");
    }
    let at = this.#config16(CONFIG.CAPABILITIES) & 0xfc;
    // 48 entries fill the space: a longer chain is a loop.
    for (let i = 0; i < 48 && at >= 0x40; i++) {
      const header = this.#config16(at);
      if ((header & 0xff) === CAPABILITY_MSIX) return at;
      at = (header >>> 8) & 0xfc;
    }
    throw new GuestFault("device", "the function has no MSI-X capability");
  }

  #config16(offset: number): number {
    this.#device.readRegion(PCI_REGION.CONFIG, offset, this.#half);
    return (this.#half[0] ?? 0) | ((this.#half[1] ?? 0) << 8);
  }

  #setConfig16(offset: number, value: number): void {
    this.#half[0] = value & 0xff;
    this.#half[1] = value >>> 8;
    this.#device.writeRegion(PCI_REGION.CONFIG, offset, this.#half);
  }
}
