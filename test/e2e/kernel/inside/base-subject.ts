import { silentLogger, systemClock } from "@vfmig/core";
import type { NativeIo } from "@vfmig/linux";
import {
  createVfioPciBase,
  vfioPciOptions,
  type HostEventListener,
  type VfioPciDevice,
  type VfioPciOptions,
} from "@vfmig/vfio-pci-base";
import { CONFORMANCE, type ConformanceSubject } from "@vfmig/vfio-pci-base/conformance";
import { Unsupported, type BedCase } from "./bed-case.ts";
import { createRecordedIo } from "./recorded-io.ts";

/** A PCI address or a mediated device's UUID, and the way to it. */
export interface Place {
  readonly device: { readonly address: string } | { readonly uuid: string };
  readonly path: VfioPciOptions["path"];
}

const io: NativeIo = createRecordedIo();

function context(place: Place, more: Partial<VfioPciOptions>) {
  return {
    device: "vf0",
    options: vfioPciOptions.parse({ ...place.device, path: place.path, ...more }),
    logger: silentLogger,
    clock: systemClock,
    folder: ".",
    runtimeFolder: "/tmp",
  };
}

/** Opens one of the bed's devices by the base, both halves in this process. */
export function openBase(
  place: Place,
  more: Partial<VfioPciOptions> = {},
  listener: HostEventListener = {},
): Promise<VfioPciDevice> {
  return createVfioPciBase({ io, listener }).open(context(place, more));
}

function subjectAt(place: Place): ConformanceSubject {
  return {
    io,
    open: (more = {}) => openBase(place, more),
    acquire: () => createVfioPciBase({ io }).acquire(context(place, {})),
  };
}

/** Why a device cannot be held to a rule, by the rule's id. */
export type Exceptions = Readonly<Record<string, (device: VfioPciDevice) => string | undefined>>;

/** The base's own rules, tried on a device of the guest's kernel. */
export function conformanceCases(
  name: string,
  place: Place,
  exceptions: Exceptions = {},
): readonly BedCase[] {
  return CONFORMANCE.map(({ id, title, requires, run }) => ({
    name: `${name}: ${id}: ${title}`,
    async run() {
      const subject = subjectAt(place);
      const conditions = [requires, exceptions[id]].filter((each) => each !== undefined);
      if (conditions.length > 0) {
        await using device = await subject.open();
        const missing = conditions.map((ask) => ask(device)).find((why) => why !== undefined);
        if (missing !== undefined) throw new Unsupported(missing);
      }
      await run(subject);
    },
  }));
}
