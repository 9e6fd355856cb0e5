import { VfmigError } from "@vfmig/core";
import { Child } from "../child/child.ts";
import type { StopWindow } from "../traffic/accounting.ts";
import type { TrafficChoice } from "../traffic/open-traffic.ts";
import type { WireAnswers, WireCommand, WireEvent, WirePlace } from "./ipc.ts";
import type { AcceptedEvent, MovedEvent, WireProgress, WireReport } from "./wire.ts";

export interface WireProcessOptions {
  readonly ports: readonly WirePlace[];
  readonly connected?: string | undefined;
  /** Whose frames arrive for the guest. */
  readonly traffic: TrafficChoice;
  readonly guestMac: string;
  /** Whether frames wait while a device asks for it (802.3x). */
  readonly flowControl?: boolean | undefined;
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
 * @throws VfmigError with the code that the process gave, or `ERR_VFMIG_WIRE_COMMAND`
 */
export async function startWireProcess(options: WireProcessOptions): Promise<WireProcess> {
  const child: WireChild = new Child({
    beside: import.meta.url,
    main: "wire-process",
    failure,
    onEvent: (event) => tell(options, event),
    onDeath: options.onDeath,
  });
  const { ports, connected, traffic, guestMac, flowControl } = options;
  try {
    await child.ask({ do: "open", ports, connected, traffic, guestMac, flowControl });
  } catch (error) {
    await child[Symbol.asyncDispose]();
    throw error;
  }
  return new ChildWire(child);
}

type WireChild = Child<WireCommand, WireAnswers, WireEvent>;

class ChildWire implements WireProcess {
  readonly #child: WireChild;

  constructor(child: WireChild) {
    this.#child = child;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  async start(rate: number): Promise<void> {
    await this.#child.ask({ do: "start", rate });
  }

  async stop(): Promise<void> {
    await this.#child.ask({ do: "stop" });
  }

  async setWindows(windows: readonly StopWindow[]): Promise<void> {
    await this.#child.ask({ do: "windows", windows });
  }

  async report(): Promise<WireReport> {
    return await this.#child.ask({ do: "report" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]();
  }
}

function tell(options: WireProcessOptions, event: WireEvent): void {
  switch (event.type) {
    case "progress":
      options.onProgress?.(event.progress);
      break;
    case "moved":
      options.onMoved?.(event.event);
      break;
    case "accepted":
      options.onAccepted?.(event.event);
      break;
    case "closed":
      options.onClosed?.(event.port, event.reason);
  }
}

function failure(why: string): VfmigError {
  return new VfmigError("ERR_VFMIG_WIRE_COMMAND", `wire process: ${why}`, { layer: "testkit" });
}
