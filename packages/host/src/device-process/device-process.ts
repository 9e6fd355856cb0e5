import { fork, type ChildProcess } from "node:child_process";
import {
  VfmigError,
  type BaseGrant,
  type Clock,
  type DeviceDescription,
  type DeviceIdentity,
  type DriverMode,
  type Incompatibility,
  type Logger,
  type ServedDevice,
  type Timer,
} from "@vfmig/core";
import type { GrantChannel } from "../granting/grant-channel.ts";
import type { Doorbells } from "./doorbells.ts";
import type {
  DeviceMessage,
  DeviceStart,
  HostAnswers,
  HostMessage,
  HostRequest,
  Replaced,
} from "./protocol.ts";
import { inherit } from "./inherit.ts";
import { DEFAULT_OPEN_LIMIT_MS, notOpenInTime } from "./stalled.ts";
import { fromWireError } from "./wire-error.ts";

type Ready = Extract<DeviceMessage, { readonly say: "ready" }>;

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: Timer;
}

export interface DeviceProcessOptions {
  readonly start: DeviceStart;
  /** File that the process runs; the host's own `device-process/main`. */
  readonly main: URL;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What the host opened for the device; the process gets it, and the caller closes its own copies. */
  readonly grant?: BaseGrant | undefined;
  /** By which descriptors of further devices go to the process; taken over. */
  readonly channel?: GrantChannel | undefined;
  /** Called with the number of the process, before it can have done anything. */
  readonly onStarted?: ((pid: number) => void) | undefined;
  /** Milliseconds that the device may take to open; default 30,000. */
  readonly openLimitMs?: number;
  /** The same for the answer to one question; default 15,000. */
  readonly answerLimitMs?: number;
  /** The same for a replacement, which opens a device and moves another's state. Default 120,000. */
  readonly replaceLimitMs?: number;
}

/** A device in a process of its own, seen from the host. */
export class DeviceProcess implements ServedDevice, AsyncDisposable {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #options: DeviceProcessOptions;
  readonly #pending = new Map<number, Pending>();
  readonly #exited: Promise<void>;
  #nextId = 1;
  #ready: Ready | undefined;
  #entry: string;
  #opened: { resolve: () => void; reject: (error: Error) => void } | undefined;
  /** What its process is at while it opens. */
  #step = "starting its process";
  #end: string | undefined;
  #stopping = false;
  #returned = false;

  private constructor(options: DeviceProcessOptions) {
    this.#options = options;
    this.name = options.start.device;
    this.#entry = this.name;
    const { start, stdio } = inherit(options.grant, options.channel);
    this.#child = fork(options.main, [JSON.stringify({ ...options.start, ...start })], {
      stdio: ["ignore", "inherit", "inherit", "ipc", ...stdio],
      serialization: "json",
    });
    options.channel?.inherited();
    if (this.#child.pid !== undefined) options.onStarted?.(this.#child.pid);
    this.#exited = new Promise((resolve) => {
      this.#child.once("exit", (code, signal) => {
        const how = signal === null ? `exited with ${String(code)}` : `was ended by ${signal}`;
        const ended = (): void => {
          this.#ended(how);
          resolve();
        };
        // Its last words may still be on their way.
        if (this.#child.connected) this.#child.once("disconnect", ended);
        else ended();
      });
    });
    this.#child.on("error", (error) => {
      // Of a process that was started, the end is told by its exit.
      if (this.#child.pid === undefined) this.#ended(`could not be started: ${error.message}`);
    });
    this.#child.on("message", (message) => this.#receive(message as DeviceMessage));
  }

  /**
   * Starts the process and waits until its device is served.
   * @throws VfmigError whatever opening the device threw in its process, or
   * `ERR_VFMIG_HOST_DEVICE_PROCESS` if the process ended, `ERR_VFMIG_HOST_STALLED` if it took too long
   */
  static async open(options: DeviceProcessOptions): Promise<DeviceProcess> {
    const device = new DeviceProcess(options);
    const limit = options.openLimitMs ?? DEFAULT_OPEN_LIMIT_MS;
    let timer: Timer | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        device.#opened = { resolve, reject };
        timer = options.clock.after(limit, () =>
          reject(notOpenInTime(device.name, device.#step, limit)),
        );
      });
      return device;
    } catch (error) {
      device.#stopping = true;
      device.#child.kill("SIGKILL");
      throw error;
    } finally {
      timer?.cancel();
    }
  }

  get identity(): DeviceIdentity {
    return this.#served().identity;
  }

  /** The configuration's entry that is served: the one it was started with, or one that took its place. */
  get entry(): string {
    return this.#entry;
  }

  /** How the driver really runs; `base` also where none is named. */
  get mode(): DriverMode {
    return this.#served().mode;
  }

  /** How the guest rings it; `trapped` also where only messages reach it. */
  get doorbells(): Doorbells {
    return this.#served().doorbells;
  }

  get socketPath(): string {
    return this.#served().socketPath;
  }

  /** Operating system's number of the process, for people and metrics. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  describe(): Promise<DeviceDescription> {
    return this.#ask({ ask: "describe" });
  }

  compare(source: DeviceDescription): Promise<readonly Incompatibility[]> {
    return this.#ask({ ask: "compare", source });
  }

  status(): Promise<Readonly<Record<string, unknown>>> {
    return this.#ask({ ask: "status" });
  }

  /**
   * Another entry's device takes this one's place, while its client goes on.
   * @param opened what the host opened for it; it stays the caller's, and the process gets copies
   * @throws VfmigError why not; the device that was there goes on
   */
  async replace(entry: string, opened?: BaseGrant): Promise<Replaced> {
    const limit = this.#options.replaceLimitMs ?? 120_000;
    if (this.#end !== undefined) throw this.#gone(this.#end);
    // The descriptors and the request that names them leave together, so that they come in one order.
    const grant = opened === undefined ? undefined : this.#options.channel?.send(opened);
    const replaced = await this.#ask({ ask: "replace", with: entry, grant }, limit);
    const { identity, mode, doorbells } = replaced;
    this.#entry = replaced.entry;
    this.#ready = { ...this.#served(), identity, mode, doorbells };
    return replaced;
  }

  /** Asks the process to close its device, and ends it if it does not within two seconds. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#end !== undefined) return;
    this.#stopping = true;
    const timer = this.#options.clock.after(2000, () => this.#child.kill("SIGKILL"));
    try {
      await this.#ask({ ask: "stop" }).catch(() => this.#child.kill("SIGKILL"));
      await this.#exited;
    } finally {
      timer.cancel();
    }
  }

  #served(): Ready {
    if (this.#ready === undefined) throw this.#fault("has not opened its device");
    return this.#ready;
  }

  #ask<Request extends HostRequest>(
    request: Request,
    limit = this.#options.answerLimitMs ?? 15_000,
  ): Promise<HostAnswers[Request["ask"]]> {
    if (this.#end !== undefined) return Promise.reject(this.#gone(this.#end));
    const id = this.#nextId++;
    return new Promise<unknown>((resolve, reject) => {
      const timer = this.#options.clock.after(limit, () => {
        this.#pending.delete(id);
        reject(this.#fault(`did not answer "${request.ask}" within ${limit} ms`));
      });
      this.#pending.set(id, { resolve, reject, timer });
      const message: HostMessage = { ...request, id };
      // A process that goes takes no questions: its end answers them.
      this.#child.send(message, () => {});
    }) as Promise<HostAnswers[Request["ask"]]>;
  }

  #receive(message: DeviceMessage): void {
    switch (message.say) {
      case "ready":
        this.#ready = message;
        this.#opened?.resolve();
        break;
      case "failed":
        this.#opened?.reject(fromWireError(message.error, this.name));
        break;
      case "step":
        this.#step = message.step;
        break;
      case "returned":
        this.#stopping = true;
        this.#returned = true;
        this.#options.logger.warn(
          `"${this.name}" was given back, as its machine wanted, and is no longer served.`,
          { device: this.name },
        );
        this.#ended("gave it back, as its machine wanted");
        break;
      case "log":
        this.#options.logger[message.level](message.message, {
          ...message.details,
          device: this.name,
        });
        break;
      case "answer":
        this.#settle(message.id)?.resolve(message.value);
        break;
      case "refusal":
        this.#settle(message.id)?.reject(fromWireError(message.error, this.name));
        break;
    }
  }

  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    pending?.timer.cancel();
    return pending;
  }

  #ended(how: string): void {
    if (this.#end !== undefined) return;
    this.#end = how;
    this.#options.channel?.[Symbol.dispose]();
    if (!this.#stopping) this.#options.logger.error(`device process ${how}`, { device: this.name });
    const error = this.#gone(this.#ready === undefined ? `${how} while ${this.#step}` : how);
    this.#opened?.reject(error);
    for (const id of this.#pending.keys()) this.#settle(id)?.reject(error);
  }

  /** What became of the device once its process has ended. */
  #gone(how: string): VfmigError {
    if (!this.#returned) return this.#fault(how);
    return new VfmigError(
      "ERR_VFMIG_VFIO_GONE",
      `Device "${this.name}" was given back, as its machine wanted: it was to be unplugged, or its driver unbound. Bind it again and start the host anew to serve it.`,
      { layer: "host", details: { device: this.name } },
    );
  }

  #fault(how: string): VfmigError {
    return new VfmigError(
      "ERR_VFMIG_HOST_DEVICE_PROCESS",
      `The process of device "${this.name}" ${how}. ${this.#ready === undefined ? "It was not served yet" : "Its guest has lost this device and no other"}; the log above says what happened before.`,
      { layer: "host", details: { device: this.name, pid: this.#child.pid } },
    );
  }
}
