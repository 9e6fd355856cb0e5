import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { VfmigError } from "@vfmig/core";
import type { StopWindow } from "../traffic/accounting.ts";
import type { TrafficChoice } from "../traffic/open-traffic.ts";
import type { WireCommand, WireMessage, WirePlace } from "./ipc.ts";
import type { AcceptedEvent, MovedEvent, WireProgress, WireReport } from "./wire.ts";

export interface WireProcessOptions {
  readonly ports: readonly WirePlace[];
  readonly connected?: string | undefined;
  /** Whose frames arrive for the guest. */
  readonly traffic: TrafficChoice;
  readonly guestMac: string;
  readonly onMoved?: (event: MovedEvent) => void;
  readonly onAccepted?: (event: AcceptedEvent) => void;
  readonly onProgress?: (progress: WireProgress) => void;
  /** A port's connection ended; `reason` where it broke the protocol. */
  readonly onClosed?: (port: string, reason?: string) => void;
  /** The process ended though nobody asked it to. */
  readonly onDeath?: (error: VfmigError) => void;
}

/** A wire that runs in a process of its own. */
export interface WireProcess extends AsyncDisposable {
  readonly pid: number | undefined;
  /** Begins to play, `rate` frames a second. */
  start(rate: number): Promise<void>;
  /** Stops playing; settles once the ports have handled everything. */
  stop(): Promise<void>;
  setWindows(windows: readonly StopWindow[]): Promise<void>;
  report(): Promise<WireReport>;
}

/**
 * Starts a wire process and joins it to ports that listen already. It ends with its parent.
 * @throws VfmigError `ERR_VFMIG_WIRE_COMMAND` with what the process said
 */
export async function startWireProcess(options: WireProcessOptions): Promise<WireProcess> {
  const wire = new ForkedWire(options);
  const { ports, connected, traffic, guestMac } = options;
  try {
    await wire.ask({
      type: "open",
      ports: [...ports],
      ...(connected === undefined ? {} : { connected }),
      traffic,
      guestMac,
    });
  } catch (error) {
    await wire[Symbol.asyncDispose]();
    throw error;
  }
  return wire;
}

type Unnumbered<T> = T extends unknown ? Omit<T, "id"> : never;
type Answer = PromiseWithResolvers<WireReport | undefined>;

class ForkedWire implements WireProcess {
  readonly #child: ChildProcess;
  readonly #options: WireProcessOptions;
  readonly #answers = new Map<number, Answer>();
  readonly #ended = Promise.withResolvers<undefined>();
  #id = 0;
  #closing = false;

  constructor(options: WireProcessOptions) {
    this.#options = options;
    // Tests run the sources; Node strips their types, and finds the other packages' sources by condition.
    const fromSource = import.meta.url.endsWith(".ts");
    const main = new URL(fromSource ? "./wire-process.ts" : "./wire-process.js", import.meta.url);
    this.#child = fork(fileURLToPath(main), {
      execArgv: fromSource ? ["--conditions=@vfmig/source"] : [],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    this.#child.on("message", (message: unknown) => this.#message(message));
    this.#child.on("error", (error) => this.#died(error.message));
    this.#child.on("exit", (code, signal) => this.#died(`it ended with ${signal ?? code}`));
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  async start(rate: number): Promise<void> {
    await this.ask({ type: "start", rate });
  }

  async stop(): Promise<void> {
    await this.ask({ type: "stop" });
  }

  async setWindows(windows: readonly StopWindow[]): Promise<void> {
    await this.ask({ type: "windows", windows: [...windows] });
  }

  async report(): Promise<WireReport> {
    const report = await this.ask({ type: "report" });
    if (report === undefined) throw failure("it answered without a report");
    return report;
  }

  async ask(command: Unnumbered<WireCommand>): Promise<WireReport | undefined> {
    if (!this.#child.connected) throw failure("it has ended");
    const id = this.#id++;
    const answer: Answer = Promise.withResolvers();
    this.#answers.set(id, answer);
    this.#child.send({ ...command, id });
    return await answer.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true;
    if (this.#child.connected) this.#child.disconnect();
    await this.#ended.promise;
  }

  #message(received: unknown): void {
    // Both ends are this package's own.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    const message = received as WireMessage;
    const options = this.#options;
    if (message.type === "progress") options.onProgress?.(message.progress);
    else if (message.type === "moved") options.onMoved?.(message.event);
    else if (message.type === "accepted") options.onAccepted?.(message.event);
    else if (message.type === "closed") options.onClosed?.(message.port, message.error?.message);
    else {
      const answer = this.#answers.get(message.id);
      this.#answers.delete(message.id);
      if (message.type === "done") answer?.resolve(message.report);
      else answer?.reject(failure(`${message.error.code}: ${message.error.message}`));
    }
  }

  #died(why: string): void {
    const error = failure(why);
    for (const answer of this.#answers.values()) answer.reject(error);
    this.#answers.clear();
    this.#ended.resolve(undefined);
    if (!this.#closing) this.#options.onDeath?.(error);
    this.#closing = true;
  }
}

function failure(why: string): VfmigError {
  return new VfmigError("ERR_VFMIG_WIRE_COMMAND", `wire process: ${why}`, { layer: "testkit" });
}
