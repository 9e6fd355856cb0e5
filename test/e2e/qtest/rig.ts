import type { Qemu } from "../fetch/qemu.ts";
import { QemuMachine } from "../machine/qemu-machine.ts";
import { Qtest } from "../machine/qtest.ts";
import type { Evidence } from "../run/recorder.ts";
import type { ServedDevice } from "../serve/served.ts";
import { VfDriver } from "./vf-driver.ts";

export interface RigOptions {
  /** Guest memory; default 256M. */
  readonly memory?: string;
  /** Default a shared memfd. */
  readonly backend?: string;
  /** Default q35. */
  readonly machine?: "q35" | "pc";
  /** Further properties of each vfio-user-pci. */
  readonly properties?: Readonly<Record<string, unknown>>;
  /** Of the driver of the first device. */
  readonly driver?: { readonly memory?: number };
}

/** Slot of the first device on the root bus. */
const FIRST_SLOT = 2;

/** A QEMU without a guest, with devices of ours on its root bus from slot 2 on. */
export class Rig implements AsyncDisposable {
  readonly machine: QemuMachine;
  readonly qtest: Qtest;
  readonly drivers: readonly VfDriver[];

  private constructor(machine: QemuMachine, qtest: Qtest, drivers: readonly VfDriver[]) {
    this.machine = machine;
    this.qtest = qtest;
    this.drivers = drivers;
  }

  static async start(
    qemu: Qemu,
    devices: readonly ServedDevice[],
    evidence: Evidence,
    options: RigOptions = {},
  ): Promise<Rig> {
    let qtest: Qtest | undefined;
    const { memory = "256M", machine = "q35", properties = {} } = options;
    const backend = options.backend ?? `memory-backend-memfd,id=mem,size=${memory},share=on`;
    const attached = devices.flatMap(({ name, socketPath: path }, index) => {
      const socket = { type: "unix", path };
      const addr = (FIRST_SLOT + index).toString(16);
      const device = { driver: "vfio-user-pci", id: name, addr, socket, ...properties };
      return ["-device", JSON.stringify(device)];
    });
    const board = ["-machine", `${machine},memory-backend=mem`, "-accel", "qtest", "-m", memory];
    const started = await QemuMachine.start(
      qemu,
      [...board, "-object", backend, "-qtest-log", "none", ...attached],
      [
        {
          name: "qtest",
          socket: (line) => {
            qtest = new Qtest(line);
            return ["-qtest", `unix:${line.path}`];
          },
        },
      ],
    );
    evidence("QEMU's stderr", () => started.child.stderr);
    if (qtest === undefined) throw new Error("no qtest socket was opened");
    await started.whileAlive(5000, "qtest", qtest.connected());
    const port = qtest;
    const drivers = devices.map((_device, index) => {
      const bar0 = 0xe000_0000 + index * 0x100_0000;
      const place = index === 0 ? options.driver : undefined;
      return new VfDriver(port, FIRST_SLOT + index, {
        bar0,
        memory: 0x10_0000 * (index + 1),
        ...place,
      });
    });
    return new Rig(started, qtest, drivers);
  }

  /** The first device's driver. */
  get driver(): VfDriver {
    const [first] = this.drivers;
    if (first === undefined) throw new Error("the rig has no device");
    return first;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.machine[Symbol.asyncDispose]();
  }
}
