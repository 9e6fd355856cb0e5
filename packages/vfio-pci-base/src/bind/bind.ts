import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { NativeIo } from "@vfmig/linux";
import { describeHolders, holdersOf } from "../acquire/holders.ts";
import { baseFault, errnoOf } from "../kernel-calls.ts";
import {
  blockers,
  driverOverride,
  readDeviceFacts,
  type DeviceFacts,
} from "../sysfs/device-facts.ts";
import { exists, linkName, type SystemRoots } from "../sysfs/sysfs.ts";
import { readRecord, removeRecord, writeRecord } from "./bind-record.ts";

export interface BindOptions extends SystemRoots {
  /** The driver to bind to; default `vfio-pci`. */
  readonly driver?: string | undefined;
  /** Where it is kept what was there before; default `/run/vfmig/bind`, which a reboot empties. */
  readonly records?: string | undefined;
  /** For the question whether the device is open; absent: processes are looked through only. */
  readonly io?: Pick<NativeIo, "open" | "close"> | undefined;
  /** How a sysfs attribute is written; for tests. */
  readonly write?: ((path: string, text: string) => void) | undefined;
}

export interface BindOutcome {
  readonly address: string;
  /** Null where no driver had it. */
  readonly before: string | null;
  readonly after: string | null;
  /** False where nothing had to be done. */
  readonly changed: boolean;
  /** Devices of the group that still belong to the host, so that it cannot be used yet. */
  readonly blockedBy: readonly { readonly name: string; readonly driver: string }[];
}

const RECORDS = "/run/vfmig/bind";

/**
 * Gives a PCI function to a VFIO driver, by `driver_override`, and keeps what had it before.
 *
 * @throws VfmigError `ERR_VFMIG_VFIO_ADDRESS`, `ERR_VFMIG_VFIO_NO_IOMMU_GROUP`, `ERR_VFMIG_VFIO_BUSY`,
 * `ERR_VFMIG_VFIO_BIND`; then everything is as before
 */
export function bindDevice(address: string, options: BindOptions = {}): BindOutcome {
  const facts = functionFacts(address, options);
  const { name } = facts.device;
  const driver = options.driver ?? "vfio-pci";
  const records = options.records ?? RECORDS;
  if (facts.group === undefined) {
    throw baseFault(
      "ERR_VFMIG_VFIO_NO_IOMMU_GROUP",
      `${name} is in no IOMMU group, so it cannot be given to a guest. Switch on the IOMMU in the firmware and on the kernel's command line (intel_iommu=on), and reboot.`,
      { device: name },
    );
  }
  const before = facts.driver ?? null;
  if (before === driver) return outcome(facts, before, driver, false);
  refuseWhileOpen(facts, options);
  const record = {
    address: name,
    driver: before,
    driverOverride: driverOverride(facts.folder) ?? null,
  };
  // The first record counts: a second binding must not forget what the host had.
  if (readRecord(records, name) === undefined) writeRecord(records, record);
  try {
    move(facts, driver, options);
  } catch (error) {
    restore(facts, record, options);
    removeRecord(records, name);
    throw error;
  }
  return outcome(functionFacts(address, options), before, driver, true);
}

/**
 * Puts a PCI function back where {@link bindDevice} took it from; without a record, to the driver that the
 * kernel chooses.
 *
 * @throws VfmigError `ERR_VFMIG_VFIO_ADDRESS`, `ERR_VFMIG_VFIO_BUSY`, `ERR_VFMIG_VFIO_BIND`
 */
export function unbindDevice(address: string, options: BindOptions = {}): BindOutcome {
  const facts = functionFacts(address, options);
  const { name } = facts.device;
  const records = options.records ?? RECORDS;
  const record = readRecord(records, name);
  const before = facts.driver ?? null;
  if (record === undefined && !facts.vfio) return outcome(facts, before, before, false);
  refuseWhileOpen(facts, options);
  restore(facts, record ?? { address: name, driver: null, driverOverride: null }, options);
  const after = functionFacts(address, options);
  if (record !== undefined && record.driver !== null && after.driver !== record.driver) {
    throw baseFault(
      "ERR_VFMIG_VFIO_BIND",
      `${name} did not go back to ${record.driver}: ${after.driver ?? "no driver"} has it now. Load ${record.driver} and run unbind again; the kernel's log (dmesg) may say why.`,
      { device: name, wanted: record.driver, driver: after.driver },
    );
  }
  removeRecord(records, name);
  return outcome(after, before, after.driver ?? null, true);
}

function functionFacts(address: string, roots: SystemRoots): DeviceFacts {
  const facts = readDeviceFacts(address, roots);
  if (facts.device.kind === "pci") return facts;
  throw baseFault(
    "ERR_VFMIG_VFIO_ADDRESS",
    `${facts.device.name} is a mediated device: it is made for its users, and needs no binding. Open it by its UUID.`,
    { address: facts.device.name },
  );
}

/** Unbinding a device that is open waits in the kernel until its user lets go, and so would we. */
function refuseWhileOpen(facts: DeviceFacts, options: BindOptions): void {
  if (!facts.vfio) return;
  const { dev = "/dev" } = options;
  const group = facts.group === undefined ? undefined : join(dev, "vfio", facts.group);
  const cdev = facts.cdev === undefined ? undefined : join(dev, "vfio/devices", facts.cdev);
  const paths = [group, cdev].filter((path) => path !== undefined);
  const holders = holdersOf(paths, options);
  if (holders.length === 0 && !isBusy(group, options)) return;
  throw baseFault(
    "ERR_VFMIG_VFIO_BUSY",
    `${facts.device.name} is open in ${describeHolders(holders)}, and the kernel would wait for that use to end. Close the device there first.`,
    { device: facts.device.name, holders },
  );
}

function isBusy(path: string | undefined, { io }: BindOptions): boolean {
  if (path === undefined || io === undefined || !exists(path)) return false;
  try {
    io.close(io.open(path));
    return false;
  } catch (error) {
    return errnoOf(error) === "EBUSY";
  }
}

/** Override, unbind, probe; done where the wanted driver has the device afterwards. */
function move(facts: DeviceFacts, driver: string, options: BindOptions): void {
  const { name } = facts.device;
  const { sysfs = "/sys" } = options;
  if (!exists(join(sysfs, "bus/pci/drivers", driver))) {
    throw baseFault(
      "ERR_VFMIG_VFIO_BIND",
      `There is no driver ${driver}, so ${name} cannot be given to it. Load it: modprobe ${driver}.`,
      { device: name, driver },
    );
  }
  write(options, join(facts.folder, "driver_override"), driver, name);
  if (facts.driver !== undefined) write(options, join(facts.folder, "driver/unbind"), name, name);
  write(options, join(sysfs, "bus/pci/drivers_probe"), name, name);
  const now = linkName(join(facts.folder, "driver"));
  if (now === driver) return;
  throw baseFault(
    "ERR_VFMIG_VFIO_BIND",
    `${driver} did not take ${name}: ${now ?? "no driver"} has it. The kernel's log (dmesg) says why; a PF with VFs in use, for instance, is refused.`,
    { device: name, driver, now },
  );
}

/** As it was: its override, and its driver by asking the kernel to match again. */
function restore(
  facts: DeviceFacts,
  record: { readonly driver: string | null; readonly driverOverride: string | null },
  options: BindOptions,
): void {
  const { name } = facts.device;
  const { sysfs = "/sys" } = options;
  const now = linkName(join(facts.folder, "driver"));
  // An empty line takes the override away; an empty write would do nothing.
  write(options, join(facts.folder, "driver_override"), `${record.driverOverride ?? ""}\n`, name);
  if (now !== undefined && now === record.driver) return;
  if (now !== undefined) write(options, join(facts.folder, "driver/unbind"), name, name);
  // A device that no driver had stays so.
  if (record.driver === null && readRecord(options.records ?? RECORDS, name) !== undefined) return;
  write(options, join(sysfs, "bus/pci/drivers_probe"), name, name);
}

function write(options: BindOptions, path: string, text: string, device: string): void {
  try {
    (options.write ?? writeFileSync)(path, text);
  } catch (error) {
    const errno = error instanceof Error && "code" in error ? String(error.code) : "";
    throw baseFault(
      "ERR_VFMIG_VFIO_BIND",
      `${path} could not be written for ${device} (${errno}). ${
        errno === "EACCES" || errno === "EPERM"
          ? "Binding needs root."
          : "The kernel's log (dmesg) may say why."
      }`,
      { device, path, errno },
      error,
    );
  }
}

function outcome(
  facts: DeviceFacts,
  before: string | null,
  after: string | null,
  changed: boolean,
): BindOutcome {
  const blockedBy = blockers(facts);
  return { address: facts.device.name, before, after, changed, blockedBy };
}
