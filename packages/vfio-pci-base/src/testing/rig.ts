import { silentLogger, systemClock, type BaseGrant, type Logger } from "@vfmig/core";
import { createVfioPciBase } from "../base.ts";
import type { ConformanceSubject } from "../conformance/subject.ts";
import type { HostEventListener } from "../device/host-events.ts";
import type { VfioPciDevice } from "../device/vfio-pci-device.ts";
import { vfioPciOptions, type VfioPciOptions } from "../options.ts";
import type { FakeMachine } from "./fake-kernel/machine.ts";

/** Addresses as QEMU's igb gives its VFs. */
export const VF = "0000:01:10.0";
export const UUID = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";

export interface RigOptions extends Partial<VfioPciOptions> {
  readonly logger?: Logger;
  readonly listener?: HostEventListener;
}

const context = (device: string, logger: Logger) => ({
  device,
  logger,
  clock: systemClock,
  folder: ".",
  runtimeFolder: ".",
});

function parse({ logger: _l, listener: _h, ...options }: RigOptions): VfioPciOptions {
  const named = options.uuid === undefined ? { address: VF, ...options } : options;
  return vfioPciOptions.parse(named);
}

/** Opens a device of the machine, both halves in this process. */
export function openOn(machine: FakeMachine, options: RigOptions = {}): Promise<VfioPciDevice> {
  const { logger = silentLogger, listener } = options;
  const { io, roots } = machine;
  const base = createVfioPciBase({ io, ...roots, ...(listener === undefined ? {} : { listener }) });
  return base.open({ ...context("vf0", logger), options: parse(options) });
}

export function acquireOn(machine: FakeMachine, options: RigOptions = {}): Promise<BaseGrant> {
  const base = createVfioPciBase({ io: machine.io, ...machine.roots });
  return base.acquire({ ...context("vf0", silentLogger), options: parse(options) });
}

/** The machine's device as the conformance cases take it. */
export function subjectOn(machine: FakeMachine, options: RigOptions = {}): ConformanceSubject {
  return {
    io: machine.io,
    open: (more = {}) => openOn(machine, { ...options, ...more }),
    acquire: () => acquireOn(machine, options),
  };
}
