import { join, resolve } from "node:path";
import {
  type BaseContext,
  type BaseDefinition,
  checkIrqRequest,
  defineBase,
  type DeviceInfo,
  quietLogger,
  VfmigError,
  type VfioDevice,
} from "@vfmig/core";
import { createLinuxIo, type NativeIo } from "@vfmig/linux";
import { z } from "zod";
import { connectVfioUser, type VfioUserClient } from "../client/client.ts";
import { PACKAGE_VERSION } from "../package-version.ts";
import { HostEvents } from "./host-events.ts";
import { ownIrqs } from "./own-irqs.ts";

/** Milliseconds between two attempts to connect. */
const RETRY_MS = 50;

/** Another vfio-user server's device, as the base of one here. One of `path` and `device` is given. */
export interface VfioUserBaseOptions {
  /** Its unix socket, relative to the configuration's folder. */
  readonly path?: string | undefined;
  /** The name of another device of the same configuration. */
  readonly device?: string | undefined;
  /** Bits of the addresses that the device reaches: the protocol has no message that tells them. */
  readonly addressBits: number;
  /** How long the server may take to appear, in milliseconds. */
  readonly connectMs: number;
  /** How long a single access may take, in milliseconds. */
  readonly accessMs: number;
}

const options: z.ZodType<VfioUserBaseOptions> = z
  .strictObject({
    path: z.string().min(1).optional(),
    device: z.string().min(1).optional(),
    addressBits: z.int().min(32).max(64).default(39),
    connectMs: z.number().min(0).max(600_000).default(10_000),
    accessMs: z.number().min(1).max(600_000).default(5000),
  })
  .refine(({ path, device }) => (path === undefined) !== (device === undefined), {
    error: "name one of path (a socket) and device (of this configuration)",
  });

/**
 * Takes the device of another vfio-user server as a base. Its regions are reached by messages alone, so
 * that no fd of it counts as mapped there. When the server's side wants the device back, `onHostRequest` of
 * the context is called, as for a device of this machine.
 *
 * @throws VfmigError `ERR_VFMIG_VFIO_USER_TIMEOUT` where no server appears, and those of
 * {@link connectVfioUser}
 */
const base: BaseDefinition<VfioUserBaseOptions> = defineBase({
  name: "vfio-user",
  version: PACKAGE_VERSION,
  options,
  async open(context) {
    const io = createLinuxIo();
    const client = await connect(io, context, pathOf(context));
    try {
      return served(client, await listen(io, client, context), context);
    } catch (error) {
      await client.close();
      throw error;
    }
  },
});

export default base;

function pathOf({
  options: { path, device },
  folder,
  runtimeFolder,
}: BaseContext<VfioUserBaseOptions>): string {
  return path === undefined ? join(runtimeFolder, `${device}.sock`) : resolve(folder, path);
}

async function connect(
  io: NativeIo,
  { clock, logger, device, options: { connectMs, accessMs } }: BaseContext<VfioUserBaseOptions>,
  path: string,
): Promise<VfioUserClient> {
  const end = clock.now() + connectMs;
  for (;;) {
    try {
      const settings = { io, path, clock, logger, regionFds: false, syncTimeoutMs: accessMs };
      return await connectVfioUser(settings);
    } catch (error) {
      if (!isAbsent(error)) throw error;
      if (clock.now() >= end) throw nobody(device, path, connectMs, error);
    }
    await new Promise<void>((wake) => clock.after(RETRY_MS, wake));
  }
}

/** True where nobody listens yet, or no longer. */
function isAbsent(error: unknown): boolean {
  const errno = VfmigError.is(error) ? error.details["errno"] : undefined;
  return errno === "ENOENT" || errno === "ECONNREFUSED";
}

function nobody(device: string, path: string, ms: number, cause: unknown): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_VFIO_USER_TIMEOUT",
    `Device "${device}": no vfio-user server listens at ${path} after ${ms} ms; start it first, or correct the path.`,
    { layer: "base", details: { device, path, ms }, cause },
  );
}

/** The events by which the server's side tells its client something; none where the device has none. */
function listen(
  io: NativeIo,
  client: VfioUserClient,
  { device, clock, logger, onHostRequest }: BaseContext<VfioUserBaseOptions>,
): Promise<HostEvents> {
  const { irqs, pci } = client.info;
  return HostEvents.arm({
    io,
    device,
    irqs: pci ? irqs : [],
    logger: quietLogger(logger, clock),
    onRequest: onHostRequest,
    set: (request) => client.setIrqs(request),
  });
}

/** The remote device under this configuration's name for it. */
function served(
  client: VfioUserClient,
  hostEvents: HostEvents,
  context: BaseContext<VfioUserBaseOptions>,
): VfioDevice {
  const { device } = client;
  const info = ownInfo(device.info, context);
  /** Unmaps that are not answered yet: closing the connection under them would make errors of them. */
  const pending = new Set<Promise<void>>();
  return {
    info,
    migration: device.migration,
    dmaLogging: device.dmaLogging,
    readRegion: (index, offset, into) => device.readRegion(index, offset, into),
    writeRegion: (index, offset, from) => device.writeRegion(index, offset, from),
    setIrqs(request) {
      checkIrqRequest(info.irqs, request, "base");
      if (hostEvents.has(request.index)) hostEvents.set(request);
      else device.setIrqs(request);
    },
    mapDma: (mapping) => device.mapDma(mapping),
    unmapDma: (range) => {
      const unmapped = Promise.resolve(device.unmapDma(range));
      pending.add(unmapped);
      void unmapped.catch(() => {}).finally(() => pending.delete(unmapped));
      return unmapped;
    },
    reset: () => device.reset(),
    async [Symbol.asyncDispose]() {
      hostEvents.close();
      await Promise.allSettled(pending);
      await client.close();
    },
  };
}

/** What the server tells of its device, as this configuration has it; nothing changes it, since nobody maps it. */
function ownInfo(
  { identity, ...info }: DeviceInfo,
  { device, options: { addressBits } }: BaseContext<VfioUserBaseOptions>,
): DeviceInfo {
  return {
    ...info,
    irqs: ownIrqs(info.irqs),
    iovaWindows: [{ first: 0n, last: (1n << BigInt(addressBits)) - 1n }],
    identity: { ...identity, device, base: { name: "vfio-user", version: PACKAGE_VERSION } },
  };
}
