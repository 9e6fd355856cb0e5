import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { VfioPciOptions } from "@vfmig/vfio-pci-base";
import type { PassedCounts } from "./device-process.ts";

const PROCESS = fileURLToPath(new URL("device-process.ts", import.meta.url));

/** A device of the kernel, served over vfio-user by a process of its own. */
export class ServedDevice implements AsyncDisposable {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /**
   * Settles when the socket at `path` is there.
   * @param plugin - options of plugin-igb; absent for the kernel's device as it is
   */
  static async start(
    address: string,
    path: string,
    mmap: VfioPciOptions["mmap"],
    plugin?: object,
  ): Promise<ServedDevice> {
    const options = plugin === undefined ? [] : [JSON.stringify(plugin)];
    const child = fork(PROCESS, [address, path, mmap, ...options]);
    const served = new ServedDevice(child);
    await served.#answer();
    return served;
  }

  async counts(): Promise<PassedCounts> {
    const answer = this.#answer();
    this.#child.send("counts");
    return answer;
  }

  get pids(): readonly number[] {
    return this.#child.pid === undefined ? [] : [this.#child.pid];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.disconnect();
    await ended;
  }

  async #answer(): Promise<PassedCounts> {
    const gone = once(this.#child, "exit").then(() => {
      throw new Error("the process that serves the device has ended");
    });
    const [counts] = await Promise.race([once(this.#child, "message"), gone]);
    return counts as PassedCounts;
  }
}
