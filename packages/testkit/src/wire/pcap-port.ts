import { readFileSync } from "node:fs";
import { type Clock, type Logger, silentLogger, systemClock, VfmigError } from "@vfmig/core";
import { LINKTYPE_ETHERNET, type PcapFrame, readPcap } from "../traffic/pcap.ts";
import { CapturePlayer } from "./capture-player.ts";
import { FrameRecorder } from "./frame-recorder.ts";
import { MAX_WIRE_FRAME } from "./messages.ts";
import type { CountingPort } from "./packet-port.ts";
import type { FrameVerdict } from "./port.ts";
import { createWireCounters, MIN_WIRE_FRAME, type WireCounters } from "./wire-counters.ts";

export interface PcapPortOptions {
  /** The capture whose frames arrive: classic pcap, Ethernet, whole frames. */
  readonly file: string;
  /** Begins anew after the last frame. Default false. */
  readonly loop?: boolean;
  /** Frames a second, above 0, at most 10 million. Default: the capture's own times. */
  readonly rate?: number | undefined;
  /** Where what the device sends is written, as pcap; a file that is there is replaced. */
  readonly record?: string | undefined;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

/**
 * A wire from a capture: its frames arrive from when the device first takes frames, at their own times or
 * evenly. What the device sends is recorded, or else counted as `absent`.
 * @throws VfmigError `ERR_VFMIG_PCAP_FILE`, `ERR_VFMIG_PCAP_FORMAT`, `ERR_VFMIG_TRAFFIC_CAPTURE`
 */
export function openPcapPort(options: PcapPortOptions): CountingPort {
  return new PcapPort(options);
}

class PcapPort implements CountingPort {
  readonly counters: WireCounters = createWireCounters();
  readonly #player: CapturePlayer;
  readonly #recorder: FrameRecorder | undefined;
  readonly #file: string;
  readonly #logger: Logger;
  #receive: ((frame: Uint8Array) => FrameVerdict) | undefined;
  #closed = false;

  constructor(options: PcapPortOptions) {
    const { file, loop = false, rate, record, clock = systemClock } = options;
    this.#file = file;
    this.#logger = options.logger ?? silentLogger;
    this.#player = new CapturePlayer({
      frames: this.#frames(file),
      loop,
      rate,
      clock,
      play: (frame) => this.#arrive(frame),
    });
    if (record === undefined) return;
    const epochMs = Date.now() - clock.now();
    this.#recorder = new FrameRecorder({ path: record, clock, logger: this.#logger, epochMs });
  }

  attach(receive: (frame: Uint8Array) => FrameVerdict): void {
    this.#receive = receive;
    if (!this.#closed) this.#player.start();
  }

  transmit(frame: Uint8Array): void {
    if (this.#closed) return;
    if (frame.length < MIN_WIRE_FRAME) this.counters.runts++;
    else if (frame.length > MAX_WIRE_FRAME) this.counters.oversize++;
    else if (this.#recorder === undefined) this.counters.absent++;
    else if (this.#recorder.record(frame)) this.counters.sent++;
    else this.counters.failed++;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#receive = undefined;
    this.#player.stop();
    this.#recorder?.close();
    this.#logger.info(`wire pcap ${this.#file} is closed`, { ...this.counters });
  }

  #arrive(frame: Uint8Array): FrameVerdict {
    this.counters.received++;
    return this.#receive?.(frame) ?? "queue-disabled";
  }

  /** The frames that can be on a wire; the others are counted. */
  #frames(path: string): PcapFrame[] {
    const { linkType, frames } = readPcap(read(path));
    if (linkType !== LINKTYPE_ETHERNET) throw unusable(path, `its link type is ${linkType}`);
    if (frames.some(({ bytes, originalLength }) => bytes.length < originalLength)) {
      throw unusable(path, "some of its frames are cut");
    }
    const usable = frames.filter(({ bytes }) => {
      if (bytes.length < MIN_WIRE_FRAME) this.counters.runts++;
      else if (bytes.length > MAX_WIRE_FRAME) this.counters.oversize++;
      else return true;
      return false;
    });
    if (usable.length < frames.length) {
      this.#logger.warn(`some frames of ${path} are no frames for a wire, and are left out`, {
        runts: this.counters.runts,
        oversize: this.counters.oversize,
      });
    }
    if (usable.length === 0) throw unusable(path, "it has no frame");
    return usable;
  }
}

function read(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new VfmigError(
      "ERR_VFMIG_PCAP_FILE",
      `cannot read the capture ${path}; check its path, which is relative to the configuration`,
      { layer: "testkit", details: { path }, cause },
    );
  }
}

function unusable(path: string, why: string): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_TRAFFIC_CAPTURE",
    `${path} cannot be played on a wire: ${why}; capture Ethernet with whole frames (tcpdump -s 0 -w)`,
    { layer: "testkit", details: { path } },
  );
}
