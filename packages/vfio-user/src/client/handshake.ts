import { VfmigError } from "@vfmig/core";
import type { DeviceInfo, IrqInfo, PciIdentity, RegionInfo } from "@vfmig/core";
import { COMMAND } from "../codec/commands.ts";
import { DEVICE_FLAG } from "../codec/device-info.ts";
import { IRQ_INFO, TYPED_IRQ_INFO_BYTES } from "../codec/irq-info.ts";
import { REGION_INFO } from "../codec/region-info.ts";
import {
  capabilitiesJson,
  decodeVersion,
  encodeVersion,
  PROTOCOL,
  versionError,
  type Capabilities,
  type VersionMessage,
} from "../codec/version.ts";
import { PACKAGE_VERSION } from "../package-version.ts";
import type { Channel } from "./channel.ts";
import { getDeviceInfo, getIrqInfo, getRegionInfo, readRegion } from "./operations.ts";

/** More than any device has; a server that claims more is broken or hostile. */
const MAX_INDEXES = 128;
/** Largest region information that is asked for: some 1,000 mmap areas. */
const MAX_REGION_INFO = 16_384;
const CONFIG_REGION = 7;
const CONFIG_HEADER_BYTES = 64;
const BAR_OFFSET = 0x10;
const BARS = 6;

/**
 * Proposes `own` and checks the server's answer. Hands a second socket that came with it to the channel.
 * @throws VfmigError `ERR_VFMIG_VFIO_USER_VERSION`
 */
export async function exchangeVersions(
  channel: Channel,
  own: Capabilities,
): Promise<VersionMessage> {
  const payload = encodeVersion(PROTOCOL.major, PROTOCOL.minor, capabilitiesJson(own));
  const answer = await channel.call({
    command: COMMAND.VERSION,
    write(out) {
      out.bytes.set(payload, out.at);
      return payload.length;
    },
    read(message) {
      const version = decodeVersion(message.payload().slice());
      const { twinSocket } = version.capabilities;
      if (own.twinSocket?.supported !== true || twinSocket?.supported !== true) {
        return { ...version, twin: undefined };
      }
      const [twin] = message.fds.splice(twinSocket.fdIndex ?? 0, 1);
      if (twin === undefined) throw versionError("the server names a twin socket and sent none");
      return { ...version, twin };
    },
  });
  if (answer.twin !== undefined) channel.attachTwin(answer.twin);
  if (answer.major !== PROTOCOL.major || answer.minor > PROTOCOL.minor) {
    throw versionError(
      `the server answered ${answer.major}.${answer.minor} to 0.${PROTOCOL.minor}`,
    );
  }
  return answer;
}

/** What the server's device is, and for each region whether it is memory (not ports, not config). */
export interface Discovered {
  readonly info: DeviceInfo;
  readonly memory: readonly boolean[];
}

/**
 * Asks for everything about the device; for the fds of regions only where `wantFds`. `fds` takes them,
 * for closing later.
 * @param typed - the server tells types of irq indexes (`vfmig.layout`)
 */
export async function discover(
  channel: Channel,
  name: string,
  wantFds: boolean,
  fds: number[],
  typed: boolean,
): Promise<Discovered> {
  const device = await channel.call(getDeviceInfo());
  if (device.regions > MAX_INDEXES || device.irqs > MAX_INDEXES) {
    throw new VfmigError(
      "ERR_VFMIG_VFIO_USER_PROTOCOL",
      `vfio-user: the server claims ${device.regions} regions and ${device.irqs} irq indexes`,
      { layer: "vfio-user", details: { ...device } },
    );
  }
  const regions: RegionInfo[] = [];
  for (let index = 0; index < device.regions; index += 1) {
    regions.push(await discoverRegion(channel, index, wantFds, fds));
  }
  const irqs: IrqInfo[] = [];
  const irqArgsz = typed ? TYPED_IRQ_INFO_BYTES : IRQ_INFO.BYTES;
  for (let index = 0; index < device.irqs; index += 1) {
    irqs.push({ ...(await channel.call(getIrqInfo(index, irqArgsz))), index });
  }
  const pci = (device.flags & DEVICE_FLAG.PCI) !== 0;
  const config = pci ? await readConfigHeader(channel, regions) : undefined;
  return {
    info: {
      identity: {
        device: name,
        base: { name: "vfio-user", version: PACKAGE_VERSION },
        pci: config && pciIdentity(config),
      },
      pci,
      resettable: (device.flags & DEVICE_FLAG.RESET) !== 0,
      regions,
      irqs,
      iovaWindows: [{ first: 0n, last: 0xffff_ffff_ffff_ffffn }],
    },
    memory: regions.map((region) => isMemory(region, config)),
  };
}

/** One region; `fds` takes what its replies brought, of which the last is the one in the answer. */
export async function discoverRegion(
  channel: Channel,
  index: number,
  wantFds: boolean,
  fds: number[],
): Promise<RegionInfo> {
  let answer = await channel.call(getRegionInfo(index, REGION_INFO.BYTES));
  const needed = answer.info.argsz;
  const asks = wantFds || !answer.info.mmap;
  if (asks && needed > REGION_INFO.BYTES && needed <= MAX_REGION_INFO) {
    if (answer.fd !== undefined) fds.push(answer.fd);
    answer = await channel.call(getRegionInfo(index, needed));
  }
  const { info, fd } = answer;
  const { size, read, write, fdOffset, saving, type } = info;
  const region = { index, size, read, write, ...(type === undefined ? {} : { type }) };
  if (fd === undefined) return region;
  fds.push(fd);
  const areas = info.areas ?? [{ offset: 0, size }];
  return { ...region, mmap: { fd, fdOffset, areas, ...(saving === undefined ? {} : { saving }) } };
}

async function readConfigHeader(
  channel: Channel,
  regions: readonly RegionInfo[],
): Promise<DataView | undefined> {
  const config = regions[CONFIG_REGION];
  if (config === undefined || !config.read || config.size < CONFIG_HEADER_BYTES) return undefined;
  const header = new Uint8Array(CONFIG_HEADER_BYTES);
  await channel.call(readRegion(CONFIG_REGION, 0, header));
  return new DataView(header.buffer);
}

function pciIdentity(config: DataView): PciIdentity {
  return {
    vendor: config.getUint16(0, true),
    device: config.getUint16(2, true),
    revision: config.getUint8(8),
    subsystemVendor: config.getUint16(0x2c, true),
    subsystemDevice: config.getUint16(0x2e, true),
  };
}

/** Bit 0 of a BAR register tells ports from memory. */
function isMemory(region: RegionInfo, config: DataView | undefined): boolean {
  if (config === undefined || region.index >= BARS) return false;
  return (config.getUint32(BAR_OFFSET + 4 * region.index, true) & 1) === 0;
}
