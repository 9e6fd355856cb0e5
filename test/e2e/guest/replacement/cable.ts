import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@vfmig/core";
import { listenSwitch, openDgramPort, type ListeningSwitch } from "@vfmig/testkit/wire";
import { EchoLog } from "./echo-log.ts";

/** A switch that the devices join, with QEMU's peer at a port of it; it notes each echo that passes there. */
export class Cable implements AsyncDisposable {
  readonly folder: string;
  readonly echoes: EchoLog = new EchoLog(() => systemClock.now());
  readonly #net: ListeningSwitch;
  readonly #close: () => void;

  private constructor(folder: string, net: ListeningSwitch) {
    this.folder = folder;
    this.#net = net;
    const qemu = openDgramPort({ local: this.local, remote: this.remote });
    const port = net.ethernet.join("peer", (frame) => {
      this.echoes.note(frame);
      qemu.transmit(frame);
      return true;
    });
    qemu.attach((frame) => {
      this.echoes.note(frame);
      port.input(frame);
      return "accepted";
    });
    this.#close = () => {
      port.leave();
      qemu.close();
    };
  }

  static async open(): Promise<Cable> {
    const folder = await mkdtemp(join(tmpdir(), "vfmig-e2e-"));
    return new Cable(folder, await listenSwitch(join(folder, "switch")));
  }

  /** Where devices join. */
  get path(): string {
    return join(this.folder, "switch");
  }

  /** This side's end of QEMU's cable. */
  get local(): string {
    return join(this.folder, "switch.wire");
  }

  /** QEMU's end. */
  get remote(): string {
    return join(this.folder, "peer.wire");
  }

  /** How many stations are known at each port, in the order in which these joined. */
  get stations(): readonly number[] {
    return this.#net.ethernet.report().ports.map(({ stations }) => stations);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#close();
    await this.#net[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true });
  }
}
