import { compose, type IrqEvent, type IrqRequest, PCI_REGION, type VfioDevice } from "@vfmig/core";
import { createLinuxIo, EventFd, type NativeIo } from "@vfmig/linux";
import igbVf from "@vfmig/plugin-igb";
import { createVfioUserServer } from "@vfmig/vfio-user";
import type { VfioPciOptions } from "@vfmig/vfio-pci-base";
import { openBase } from "../inside/base-subject.ts";
import { DelegatingDevice } from "@vfmig/testkit/guest";

/** What has passed the process that serves the device, since it began. */
export interface PassedCounts {
  /** Accesses of the kernel's device, of any region: a user's that were passed on, and a plugin's own. */
  readonly reads: number;
  readonly writes: number;
  /** A user's accesses of registers that a frame or an interrupt takes, and of all others. */
  readonly data: number;
  readonly control: number;
  /** Interrupts that this process signalled, instead of the kernel. */
  readonly signals: number;
}

/** Behind it BAR0 of this NIC has nothing but queues and interrupts. */
const CONTROL_BYTES = 0x1000;

/** Counts what a user sends, and what the kernel does not signal itself. */
class Counted extends DelegatingDevice {
  data = 0;
  control = 0;
  signals = 0;

  override readRegion(index: number, offset: number, into: Uint8Array): void {
    this.#count(index, offset);
    super.readRegion(index, offset, into);
  }

  override writeRegion(index: number, offset: number, from: Uint8Array): void {
    this.#count(index, offset);
    super.writeRegion(index, offset, from);
  }

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

  #count(index: number, offset: number): void {
    if (index === PCI_REGION.BAR0 && offset >= CONTROL_BYTES) this.data += 1;
    else this.control += 1;
  }
}

/** The device with plugin-igb on it, as our host composes it. */
async function withPlugin(io: NativeIo, base: VfioDevice, options: object): Promise<VfioDevice> {
  const parsed = igbVf.options?.parse(options);
  return compose(base, igbVf, {
    ...(parsed && { options: parsed }),
    allocateMemory(bytes) {
      const fd = io.memfd("private", bytes);
      const memory = io.mmap(fd, bytes);
      io.close(fd);
      return memory;
    },
    createIrqEvent: (onSignal) => watchedEvent(io, onSignal),
  });
}

function watchedEvent(io: NativeIo, onSignal: () => void): IrqEvent & Disposable {
  const event = EventFd.create(io);
  const watch = io.watch(event.fd, () => {
    if (event.drain() > 0) onSignal();
  });
  return {
    fd: event.fd,
    signal: onSignal,
    [Symbol.dispose]() {
      watch[Symbol.dispose]();
      event[Symbol.dispose]();
    },
  };
}

/** How the device is served. */
export interface Serving {
  /** PCI address. */
  readonly address: string;
  readonly path: string;
  readonly mmap: VfioPciOptions["mmap"];
  /** Options of plugin-igb; absent for the kernel's device as it is. */
  readonly plugin?: object | undefined;
}

interface Served extends AsyncDisposable {
  readonly counts: PassedCounts;
}

async function serve({ address, path, mmap, plugin }: Serving): Promise<Served> {
  const io = createLinuxIo();
  const kernel = await openBase({ device: { address }, path: "group" }, { mmap });
  const served = plugin === undefined ? kernel : await withPlugin(io, kernel, plugin);
  const device = new Counted(served);
  const server = createVfioUserServer({ io, device, path });
  return {
    get counts() {
      const { reads, writes } = kernel.events;
      const { data, control, signals } = device;
      return { reads, writes, data, control, signals };
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await served[Symbol.asyncDispose]();
    },
  };
}

/** Serves until its parent goes, in the way of the last message that says one; answers each with its counts. */
async function main(first: Serving): Promise<void> {
  let served = await serve(first);
  const say = (): void => void process.send?.(served.counts);
  process.on("message", (next: Serving | "counts") => {
    if (next === "counts") return say();
    void (async () => {
      await served[Symbol.asyncDispose]();
      served = await serve(next);
      say();
    })();
  });
  const end = (): Promise<void> => Promise.resolve(served[Symbol.asyncDispose]());
  process.on("disconnect", () => void end().finally(() => process.exit()));
  say();
}

if (import.meta.main) {
  const [serving = "{}"] = process.argv.slice(2);
  await main(JSON.parse(serving) as Serving);
}
