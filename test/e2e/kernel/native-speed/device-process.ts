import type { IrqRequest } from "@vfmig/core";
import { createLinuxIo } from "@vfmig/linux";
import { createVfioUserServer } from "@vfmig/vfio-user";
import type { VfioPciOptions } from "@vfmig/vfio-pci-base";
import { openBase } from "../inside/base-subject.ts";
import { PassedOn } from "./passed-on.ts";

/** What has passed the process that serves the device, since it began. */
export interface PassedCounts {
  /** Region accesses, of any region. */
  readonly reads: number;
  readonly writes: number;
  /** Interrupts that this process signalled, instead of the kernel. */
  readonly signals: number;
}

/** Counts what the kernel does not signal itself. */
class CountedSignals extends PassedOn {
  signals = 0;

  override setIrqs(request: IrqRequest): void {
    if (request.data.kind !== "event") return super.setIrqs(request);
    const events = request.data.events.map(
      (event) =>
        event && {
          fd: event.fd,
          signal: () => {
            this.signals += 1;
            event.signal();
          },
        },
    );
    super.setIrqs({ ...request, data: { kind: "event", events } });
  }
}

/** Serves the device at a PCI address until its parent goes; answers each message with its counts. */
async function main(address: string, path: string, mmap: VfioPciOptions["mmap"]): Promise<void> {
  const kernel = await openBase({ device: { address }, path: "group" }, { mmap });
  const device = new CountedSignals(kernel);
  const server = createVfioUserServer({ io: createLinuxIo(), device, path });
  const say = (): void => {
    const { reads, writes } = kernel.events;
    process.send?.({ reads, writes, signals: device.signals } satisfies PassedCounts);
  };
  process.on("message", say);
  const end = async (): Promise<void> => {
    await server[Symbol.asyncDispose]();
    await kernel[Symbol.asyncDispose]();
  };
  process.on("disconnect", () => void end().finally(() => process.exit()));
  say();
}

if (import.meta.main) {
  const [address = "", path = "", mmap] = process.argv.slice(2);
  await main(address, path, mmap === "direct" ? mmap : "none");
}
