import type { Clock } from "../../clock.ts";
import type { IrqEventFactory } from "../../compose/interrupts.ts";
import type { SharedMemory } from "../../device/dma.ts";
import type { VfioDevice } from "../../device/vfio-device.ts";
import { VfmigError } from "../../errors/vfmig-error.ts";
import type { Logger } from "../../logger.ts";
import type { DriverMode } from "../driver-mode.ts";
import { EventPacker, unpackEvents } from "../event-codec.ts";
import type { RecordedEvent } from "../events.ts";
import type { RecordingLimits } from "../limits.ts";
import { recordDevice, type RecordedDevice } from "../recorder.ts";
import { recordingHeader, type Recording } from "../recording.ts";
import { replayCall, unoffered } from "./calls.ts";
import { ReplayMemory } from "./guest-side.ts";
import { planReplay, type ReplayPlan } from "./plan.ts";
import { DEFAULT_REPLAY_LIMITS, Waits, type ReplayLimits } from "./waits.ts";

export interface ReplayOptions {
  readonly recording: Recording;
  /** How the fresh device runs, for its header. */
  readonly mode: DriverMode;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Zeroed memory for a mapping of so many bytes; default: plain memory, which a model can reach. */
  readonly allocate?: (bytes: number) => SharedMemory;
  readonly createIrqEvent?: IrqEventFactory;
  readonly limits?: Partial<ReplayLimits>;
  readonly recordingLimits?: Partial<RecordingLimits>;
  readonly progress?: (fraction: number) => void;
  /** Gets the replay's events as they are packed, for a file. */
  readonly onBatch?: (batch: Uint8Array) => void;
}

/**
 * Does again to `device`, which is fresh, what the guest's side did in a recording, and records what it
 * sees this time. Memory is restored step by step; recorded interrupts are waited for, and so are reads
 * that answered otherwise for a while, each in bounds. The caller closes the device.
 *
 * What reached the recorded device from outside, such as frames, the device is given again if it can take
 * it ({@link VfioDevice.input}); its own wire is then cut off.
 * @throws VfmigError `ERR_VFMIG_REPLAY` for a device that lacks a recorded region
 */
export async function replayRecording(
  device: VfioDevice,
  options: ReplayOptions,
): Promise<Recording> {
  const { recording, mode, clock, logger } = options;
  checkKind(device, recording);
  checkRegions(device, recording);
  const events: RecordedEvent[] = [];
  const take = (batch: Uint8Array): void => {
    unpackEvents(batch, events);
    options.onBatch?.(batch);
  };
  const recorded = recordDevice(device, {
    sink: (batch) => take(batch),
    clock,
    logger,
    ...(options.recordingLimits === undefined ? {} : { limits: options.recordingLimits }),
    createIrqEvent: options.createIrqEvent,
  });
  const header = recordingHeader(device, mode);
  const give = recording.input ? device.input?.take() : undefined;
  await new Replay(recorded, take, options, give).run();
  recorded.flush();
  return { ...header, replay: true, input: give !== undefined, events, ended: recorded.ended };
}

/** Another device would leave the recorded guest waiting, not differ from the recording in a way that tells. */
function checkKind(device: VfioDevice, recording: Recording): void {
  const [here, there] = [device.info.identity.pci, recording.identity.pci];
  if (here === undefined || there === undefined) return;
  if (here.vendor === there.vendor && here.device === there.device) return;
  const name = ({ vendor, device: id }: typeof here): string =>
    [vendor, id].map((part) => part.toString(16).padStart(4, "0")).join(":");
  throw new VfmigError(
    "ERR_VFMIG_REPLAY",
    `Device "${device.info.identity.device}" is ${name(here)}, and the recorded one ` +
      `("${recording.identity.device}") is ${name(there)}. Name the configuration of such a device with --config.`,
    { layer: "core", details: { here: name(here), recorded: name(there) } },
  );
}

function checkRegions(device: VfioDevice, recording: Recording): void {
  for (const [index, size] of recording.regions.entries()) {
    const here = device.info.regions[index]?.size ?? 0;
    if (here >= size) continue;
    throw new VfmigError(
      "ERR_VFMIG_REPLAY",
      `Device "${device.info.identity.device}" has ${here} bytes in region ${index}, where the recorded ` +
        `one ("${recording.identity.device}") has ${size}. Replay against a device of the same kind.`,
      { layer: "core", details: { region: index, here, recorded: size } },
    );
  }
}

type StepOf<Kind> = Extract<RecordedEvent, { readonly kind: Kind }>;

class Replay {
  readonly #device: RecordedDevice;
  readonly #take: (batch: Uint8Array) => void;
  readonly #options: ReplayOptions;
  readonly #plan: ReplayPlan;
  readonly #waits: Waits;
  readonly #calls: Waits;
  readonly #memory: ReplayMemory;
  readonly #settleMs: number;
  /** Calls that are under way, by step. */
  readonly #pending = new Map<number, Promise<unknown>>();
  /** Signals that came and were not waited for yet, by index and vector. */
  readonly #signals = new Map<string, number>();
  /** The step after which a place was waited for last. */
  readonly #awaited = new Map<string, number>();
  readonly #give: ((data: Uint8Array) => void) | undefined;
  #heard = 0;

  constructor(
    device: RecordedDevice,
    take: (batch: Uint8Array) => void,
    options: ReplayOptions,
    give: ((data: Uint8Array) => void) | undefined,
  ) {
    this.#give = give;
    const { waitMs, callMs, settleMs } = { ...DEFAULT_REPLAY_LIMITS, ...options.limits };
    this.#device = device;
    this.#take = take;
    this.#options = options;
    this.#plan = planReplay(options.recording.events);
    this.#waits = new Waits(options.clock, waitMs);
    this.#calls = new Waits(options.clock, callMs);
    this.#memory = new ReplayMemory(device, this.#waits);
    this.#settleMs = settleMs;
  }

  async run(): Promise<void> {
    const { events } = this.#plan;
    for (const [at, event] of events.entries()) {
      if (at % 256 === 0) this.#options.progress?.(at / events.length);
      const under = this.#do(event);
      if (under !== undefined) await under;
    }
    await Promise.allSettled(this.#pending.values());
    await this.#settle();
  }

  #do(event: RecordedEvent): void | Promise<void> {
    switch (event.kind) {
      case "read":
        return this.#read(event);
      case "write":
        this.#device.nextStep = event.op;
        return this.#access("write", event.region, event.offset, event.data);
      case "call":
        return this.#call(event);
      case "answer":
        return this.#answered(event.op);
      case "signal":
        return this.#awaitSignal(event);
      case "initial-memory":
      case "guest-memory":
        return this.#memory.write(event);
      case "device-memory":
        return this.#memory.expect(event);
      case "turn":
        return this.#waits.turn();
      case "input":
        return this.#give?.(event.data);
      case "intended":
      case "missed":
        return undefined;
    }
  }

  /** Reads until the answer is the recorded one, unless that depended on the moment. */
  async #read(event: StepOf<"read">): Promise<void> {
    const { region, offset, data, op } = event;
    const into = new Uint8Array(data.length);
    const under: Promise<void>[] = [];
    const once = (): boolean => {
      this.#device.nextStep = op;
      const waits = this.#access("read", region, offset, into);
      if (waits !== undefined) under.push(waits);
      return waits !== undefined || Buffer.compare(into, data) === 0;
    };
    if (this.#plan.superseded.has(event) || this.#plan.answered.has(op)) once();
    else await this.#waits.until(`${region}:${offset}`, once);
    // One that takes its time is asked once.
    await Promise.all(under);
  }

  /** What the device refuses is recorded. */
  #access(
    kind: "read" | "write",
    region: number,
    offset: number,
    data: Uint8Array,
  ): void | Promise<void> {
    const waiting = this.#device.asyncRegions?.get(region);
    if (waiting !== undefined) return waiting[kind](offset, data).catch(() => {});
    try {
      if (kind === "read") this.#device.readRegion(region, offset, data);
      else this.#device.writeRegion(region, offset, data);
    } catch {
      // The recorder keeps what was thrown.
    }
  }

  #call({ op, call }: StepOf<"call">): void | Promise<void> {
    this.#device.nextStep = op;
    let result: unknown;
    try {
      const { allocate = plainMemory } = this.#options;
      const eventOf = (index: number, vector: number): { signal(): void } => ({
        signal: () => this.#onSignal(index, vector),
      });
      const parts = { device: this.#device, memory: this.#memory, allocate, eventOf };
      result = replayCall(call, parts);
    } catch {
      // Recorded with its answer.
      return;
    }
    if (result === unoffered) {
      this.#note((packer) => {
        packer.value("call", op, call);
        packer.value("answer", op, { skipped: true });
      });
      return;
    }
    if (!(result instanceof Promise)) return;
    this.#pending.set(
      op,
      result.catch(() => {}),
    );
    const mapping = call.name === "map" || call.name === "unmap";
    if (mapping) return this.#answered(op);
  }

  async #answered(op: number): Promise<void> {
    const pending = this.#pending.get(op);
    if (pending === undefined) return;
    let settled = false;
    void pending.then(() => (settled = true));
    await this.#calls.until(`call ${op}`, () => settled);
    this.#pending.delete(op);
  }

  #onSignal(index: number, vector: number): void {
    const place = `${index}:${vector}`;
    this.#signals.set(place, (this.#signals.get(place) ?? 0) + 1);
    this.#heard++;
  }

  /** Several signals without a step between them may come as one. */
  async #awaitSignal({ index, vector, op }: StepOf<"signal">): Promise<void> {
    const place = `${index}:${vector}`;
    if (this.#awaited.get(place) === op) return;
    this.#awaited.set(place, op);
    const came = await this.#waits.until(
      `signal ${place}`,
      () => (this.#signals.get(place) ?? 0) > 0,
    );
    this.#signals.set(place, 0);
    if (!came) this.#note((packer) => packer.signal("missed", op, index, vector));
  }

  /** Puts what the replay itself has to say behind what happened up to now. */
  #note(pack: (packer: EventPacker) => void): void {
    this.#device.flush();
    const packer = new EventPacker(256);
    pack(packer);
    this.#take(packer.take());
  }

  async #settle(): Promise<void> {
    const { clock } = this.#options;
    const end = clock.now() + 5 * this.#settleMs;
    let heard = -1;
    while (heard !== this.#heard && clock.now() < end) {
      heard = this.#heard;
      const quiet = clock.now() + this.#settleMs;
      while (clock.now() < quiet) await this.#waits.turn(true);
    }
  }
}

function plainMemory(bytes: number): SharedMemory {
  return { bytes: new Uint8Array(bytes) };
}
