import type { Qtest } from "../machine/qtest.ts";

/** Configuration registers that the cases use. */
export const PCI = {
  ID: 0x00,
  COMMAND: 0x04,
  CLASS: 0x08,
  BAR0: 0x10,
  BAR3: 0x1c,
  SUBSYSTEM: 0x2c,
  CAPABILITIES: 0x34,
} as const;

export const COMMAND = { MEMORY: 0x2, BUS_MASTER: 0x4 } as const;
const CAP = { EXPRESS: 0x10, MSIX: 0x11 } as const;

const CONFIG_ADDRESS = 0xcf8;
const CONFIG_DATA = 0xcfc;

/** A function on the root bus, reached by the processor's configuration ports. */
export class PciFunction {
  readonly qtest: Qtest;
  readonly slot: number;

  constructor(qtest: Qtest, slot: number) {
    this.qtest = qtest;
    this.slot = slot;
  }

  async read(offset: number, size: 1 | 2 | 4 = 4): Promise<number> {
    await this.#address(offset);
    return this.qtest.in(CONFIG_DATA + (offset & 3), size);
  }

  async write(offset: number, value: number, size: 1 | 2 | 4 = 4): Promise<void> {
    await this.#address(offset);
    await this.qtest.out(CONFIG_DATA + (offset & 3), value >>> 0, size);
  }

  /** Sizes a 64-bit memory BAR as firmware does, and leaves it at 0. */
  async barSize(offset: number): Promise<{ size: bigint; flags: number }> {
    await this.write(offset, 0xffff_ffff);
    await this.write(offset + 4, 0xffff_ffff);
    const low = await this.read(offset);
    const high = await this.read(offset + 4);
    await this.place(offset, 0);
    const mask = (BigInt(high) << 32n) | BigInt((low & ~0xf) >>> 0);
    return { size: BigInt.asUintN(64, -mask), flags: low & 0xf };
  }

  async place(offset: number, address: number): Promise<void> {
    await this.write(offset, address);
    await this.write(offset + 4, Math.floor(address / 2 ** 32));
  }

  async command(bits: number): Promise<void> {
    await this.write(PCI.COMMAND, bits, 2);
  }

  /** Capability ids by offset, in the order of the chain. */
  async capabilities(): Promise<Map<number, number>> {
    const found = new Map<number, number>();
    let offset = (await this.read(PCI.CAPABILITIES, 1)) & 0xfc;
    while (offset !== 0 && !found.has(offset)) {
      found.set(offset, await this.read(offset, 1));
      offset = (await this.read(offset + 1, 1)) & 0xfc;
    }
    return found;
  }

  msixOffset(): Promise<number> {
    return this.#capability(CAP.MSIX, "MSI-X");
  }

  expressOffset(): Promise<number> {
    return this.#capability(CAP.EXPRESS, "PCI Express");
  }

  async #capability(wanted: number, name: string): Promise<number> {
    for (const [offset, id] of await this.capabilities()) if (id === wanted) return offset;
    throw new Error(`the function has no ${name} capability`);
  }

  async #address(offset: number): Promise<void> {
    await this.qtest.out(CONFIG_ADDRESS, 0x8000_0000 + (this.slot << 11) + (offset & 0xfc), 4);
  }
}
