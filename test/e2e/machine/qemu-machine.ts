import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Qemu } from "../fetch/qemu.ts";
import { within } from "../run/time-limit.ts";
import { Child } from "./child.ts";
import { LineSocket, PeerGone } from "./line-socket.ts";
import { Qmp } from "./qmp.ts";

/** A QEMU that runs, with its monitor; ended and cleaned up when it is disposed. */
export class QemuMachine implements AsyncDisposable {
  readonly child: Child;
  readonly qmp: Qmp;
  readonly folder: string;
  readonly #lines: readonly LineSocket[];

  private constructor(child: Child, qmp: Qmp, folder: string, lines: readonly LineSocket[]) {
    this.child = child;
    this.qmp = qmp;
    this.folder = folder;
    this.#lines = lines;
  }

  /**
   * Starts QEMU and waits for its monitor.
   * @param words QEMU's own, without displays and monitor
   * @param more opens further sockets in the machine's folder before QEMU starts, and names the words for them
   */
  static async start(
    qemu: Qemu,
    words: readonly string[],
    more: readonly ExtraSocket[] = [],
  ): Promise<QemuMachine> {
    const folder = await mkdtemp(join(tmpdir(), "vfmig-e2e-"));
    const monitor = await LineSocket.listen(join(folder, "qmp"));
    const lines = [monitor];
    const extra: string[] = [];
    for (const { name, socket } of more) {
      const line = await LineSocket.listen(join(folder, name));
      lines.push(line);
      extra.push(...socket(line));
    }
    const basic = ["-nodefaults", "-no-user-config", "-display", "none"];
    const all = [...qemu.words, ...basic, "-qmp", `unix:${monitor.path}`, ...extra, ...words];
    const child = new Child(qemu.program, all, qemu.environment);
    const machine = new QemuMachine(child, new Qmp(monitor), folder, lines);
    try {
      await machine.whileAlive(10_000, "QEMU's monitor", machine.qmp.open());
    } catch (error) {
      await machine[Symbol.asyncDispose]();
      throw error;
    }
    return machine;
  }

  /** Waits for something that only a running QEMU gives. */
  whileAlive<Value>(milliseconds: number, what: string, promise: Promise<Value>): Promise<Value> {
    const death = this.child.exited.then((how): never => {
      throw new Error(`QEMU ${how} while ${what} was awaited\n${this.child.stderr.trim()}`);
    });
    // A closed socket is the death's first sign; its words come with the death itself.
    const alive = promise.catch((error: unknown) => {
      if (error instanceof PeerGone) return death;
      throw error;
    });
    return within(milliseconds, what, Promise.race([alive, death]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.child.kill();
    for (const line of this.#lines) line.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** A socket beside the monitor. */
export interface ExtraSocket {
  readonly name: string;
  /** Takes the socket, and tells QEMU's words for it. */
  readonly socket: (line: LineSocket) => readonly string[];
}
