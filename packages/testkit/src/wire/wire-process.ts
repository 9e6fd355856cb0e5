import { systemClock, type Timer, VfmigError } from "@vfmig/core";
import { answerParent, tellParent } from "../child/answer-parent.ts";
import { FrameSource } from "../traffic/frame-source.ts";
import { openTraffic } from "../traffic/open-traffic.ts";
import { createWire } from "./create-wire.ts";
import { type WireCommand, wireCommandSchema, type WireEvent } from "./ipc.ts";
import type { Wire, WireReport } from "./wire.ts";

/** Between two progress messages, in milliseconds. */
const PROGRESS_MS = 250;

/** A wire in a process of its own. */
class WireMain {
  #wire: Wire | undefined;
  #progress: Timer | undefined;

  /** @throws VfmigError `ERR_VFMIG_WIRE_COMMAND` and those of the wire */
  async run(command: WireCommand): Promise<WireReport | null> {
    if (command.do === "open") {
      await this.#open(command);
      return null;
    }
    const wire = this.#wire;
    if (wire === undefined) throw outOfOrder(`"${command.do}" came before "open"`);
    if (command.do === "start") {
      wire.start(command.rate);
      this.#tellProgress(wire);
    } else if (command.do === "stop") {
      this.#progress?.cancel();
      await wire.stop();
    } else if (command.do === "windows") {
      wire.setWindows(command.windows);
    } else {
      return wire.report();
    }
    return null;
  }

  async #open(command: WireCommand & { readonly do: "open" }): Promise<void> {
    if (this.#wire !== undefined) throw outOfOrder(`a second "open"`);
    const plan = openTraffic(command.traffic, command.guestMac);
    this.#wire = await createWire({
      ports: command.ports,
      connected: command.connected,
      guestMac: command.guestMac,
      flowControl: command.flowControl,
      source: new FrameSource(plan.toGuest, plan.longest),
      fromGuest: plan.fromGuest.map(({ flow }) => flow),
      onMoved: (event) => tell({ type: "moved", event }),
      onAccepted: (event) => tell({ type: "accepted", event }),
      onClosed: (port, error) =>
        tell({ type: "closed", port, reason: error === undefined ? undefined : reasonOf(error) }),
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

function tell(event: WireEvent): void {
  tellParent(event);
}

function outOfOrder(why: string): VfmigError {
  return new VfmigError("ERR_VFMIG_WIRE_COMMAND", `wire process: ${why}; open it once, first`, {
    layer: "testkit",
  });
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

if (import.meta.main && process.send !== undefined) {
  const main = new WireMain();
  answerParent(async (question) => {
    const parsed = wireCommandSchema.safeParse(question);
    if (!parsed.success) throw outOfOrder(`a malformed command: ${parsed.error.message}`);
    return await main.run(parsed.data);
  });
}
