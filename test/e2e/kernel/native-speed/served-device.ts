import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { PassedCounts, Serving } from "./device-process.ts";

const PROCESS = fileURLToPath(new URL("device-process.ts", import.meta.url));

/** A device of the kernel, served over vfio-user by a process of its own. */
export class ServedDevice implements AsyncDisposable {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Settles when the socket is there. */
  static async start(serving: Serving): Promise<ServedDevice> {
    const child = fork(PROCESS, [JSON.stringify(serving)]);
    const served = new ServedDevice(child);
    await served.#answer();
    return served;
  }

  /** Ends what is served, and serves this; settles when its socket is there. Counts begin anew. */
  async serve(serving: Serving): Promise<void> {
    const answer = this.#answer();
    this.#child.send(serving);
    await answer;
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
