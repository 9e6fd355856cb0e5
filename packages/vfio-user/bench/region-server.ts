/**
 * Server of the region benchmark: a small device with a sub-driver composed onto it, which traps another part of
 * the region than the one that is read. Serves until its parent closes its input.
 *
 * Run: node region-server.ts PATH return|bounded
 */
import { compose, defineSubDriver, type RegionInfo, type VfioDevice } from "@vfmig/core";
import { createLinuxIo } from "@vfmig/linux";
import { createVfioUserServer } from "@vfmig/vfio-user";

const [path = "", mode = "return"] = process.argv.slice(2);
const BAR_BYTES = 65_536;

/** Registers in plain memory: the least that a device model can be. */
function createRegisters(): VfioDevice {
  const bar = new Uint8Array(BAR_BYTES);
  const config = new Uint8Array(256);
  const sizes = [BAR_BYTES, 0, 0, 0, 0, 0, 0, config.length, 0];
  const regions: readonly RegionInfo[] = sizes.map((size, index) => ({
    index,
    size,
    read: size > 0,
    write: size > 0,
  }));
  return {
    info: {
      identity: { device: "registers", base: { name: "registers", version: "1.0.0" } },
      pci: true,
      resettable: true,
      regions,
      irqs: [],
      iovaWindows: [{ first: 0n, last: 0xffff_ffff_ffff_ffffn }],
    },
    readRegion(index, offset, into) {
      const from = index === 0 ? bar : config;
      for (let i = 0; i < into.length; i++) into[i] = from[offset + i] ?? 0;
    },
    writeRegion(index, offset, from) {
      const into = index === 0 ? bar : config;
      for (let i = 0; i < from.length; i++) into[offset + i] = from[i] ?? 0;
    },
    setIrqs() {},
    mapDma() {},
    unmapDma() {},
    async reset() {},
    migration: undefined,
    dmaLogging: undefined,
    async [Symbol.asyncDispose]() {},
  };
}

const transparent = defineSubDriver({
  name: "transparent",
  version: "1.0.0",
  apiVersion: "^1.0.0",
  matches: [{ vendor: 0, device: 0 }],
  privileges: [],
  capabilities: {},
  attach: ({ base }) => ({
    regions: [
      {
        index: 0,
        trapped: [{ offset: 0x4000, size: 0x5000 }],
        read: (offset, into) => base.readRegion(0, offset, into),
        write: (offset, from) => base.writeRegion(0, offset, from),
      },
    ],
    async close() {},
  }),
});

const server = createVfioUserServer({
  io: createLinuxIo(),
  device: await compose(createRegisters(), transparent),
  path,
  ...(mode === "bounded" ? { wait: {} } : {}),
});
process.stdin.on("end", () => void server.close());
process.stdin.resume();
console.log("ready");
await server.closed;
