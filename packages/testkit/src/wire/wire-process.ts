import { systemClock, type Timer, VfmigError } from "@vfmig/core";
import { FrameSource } from "../traffic/frame-source.ts";
import { openTraffic } from "../traffic/open-traffic.ts";
import { createWire } from "./create-wire.ts";
import {
  type WireCommand,
  wireCommandSchema,
  type WireMessage,
  type WireProcessError,
} from "./ipc.ts";
import type { Wire, WireReport } from "./wire.ts";

/** Between two progress messages, in milliseconds. */
const PROGRESS_MS = 250;

/** A wire in a process of its own: commands in, events out, and an end when its parent is gone. */
class WireMain {
  #wire: Wire | undefined;
  #progress: Timer | undefined;

  /** @throws VfmigError `ERR_VFMIG_WIRE_COMMAND` and those of the wire */
  async run(command: WireCommand): Promise<WireReport | undefined> {
    if (command.type === "open") {
      await this.#open(command);
      return undefined;
    }
    const wire = this.#wire;
    if (wire === undefined) throw outOfOrder(`"${command.type}" came before "open"`);
    if (command.type === "start") {
      wire.start(command.rate);
      this.#tellProgress(wire);
    } else if (command.type === "stop") {
      this.#progress?.cancel();
      await wire.stop();
    } else if (command.type === "windows") {
      wire.setWindows(command.windows);
    } else {
      return wire.report();
    }
    return undefined;
  }

  async #open(command: WireCommand & { type: "open" }): Promise<void> {
    if (this.#wire !== undefined) throw outOfOrder(`a second "open"`);
    const plan = openTraffic(command.traffic, command.guestMac);
    this.#wire = await createWire({
      ports: command.ports,
      connected: command.connected,
      guestMac: command.guestMac,
      source: new FrameSource(plan.toGuest, plan.longest),
      fromGuest: plan.fromGuest.map(({ flow }) => flow),
      onMoved: (event) => tell({ type: "moved", event }),
      onAccepted: (event) => tell({ type: "accepted", event }),
      onClosed: (port, error) =>
        tell({ type: "closed", port, error: error === undefined ? undefined : plainError(error) }),
    });
  }

  #tellProgress(wire: Wire): void {
    this.#progress?.cancel();
    this.#progress = systemClock.after(PROGRESS_MS, () => {
      tell({ type: "progress", progress: wire.progress() });
      this.#tellProgress(wire);
    });
  }
}

function tell(message: WireMessage): void {
  // The channel may break between the look and the write; `disconnect` then ends the process.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

function outOfOrder(why: string): VfmigError {
  return new VfmigError("ERR_VFMIG_WIRE_COMMAND", `wire process: ${why}; open it once, first`, {
    layer: "testkit",
  });
}

function plainError(error: unknown): WireProcessError {
  if (VfmigError.is(error)) return { code: error.code, message: error.message };
  return { code: "ERR_VFMIG_WIRE_COMMAND", message: String(error) };
}

async function answer(main: WireMain, message: unknown): Promise<void> {
  const parsed = wireCommandSchema.safeParse(message);
  if (!parsed.success) {
    const error = outOfOrder(`a malformed command: ${parsed.error.message}`);
    tell({ type: "failed", id: -1, error: plainError(error) });
    return;
  }
  const { id } = parsed.data;
  try {
    tell({ type: "done", id, report: await main.run(parsed.data) });
  } catch (error) {
    tell({ type: "failed", id, error: plainError(error) });
  }
}

if (import.meta.main && process.send !== undefined) {
  const main = new WireMain();
  process.on("message", (message) => void answer(main, message));
  // The parent's end of the channel closes with it, however it ends.
  process.on("disconnect", () => process.exit(0));
}
