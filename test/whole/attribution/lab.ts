import {
  type Clock,
  compose,
  createRecordingWriter,
  type DriverMode,
  readRecording,
  recordDevice,
  type Recording,
  recordingHeader,
  replayRecording,
  silentLogger,
  type SubDriverDefinition,
  transparentSubDriver,
  type VfioDevice,
} from "@vfmig/core";
import e810Vf from "@vfmig/plugin-e810";
import i40eVf from "@vfmig/plugin-i40e";
import {
  createE810VfModel,
  createGuestDriver,
  createI40eVfModel,
  directEvent,
  type GuestFault,
  GuestRam,
} from "@vfmig/testkit";
import { changed } from "./bugs.ts";
import { createIdleClock } from "./idle-clock.ts";

const MAC = [2, 0, 0, 0, 0, 0x0a];
const RAM_BYTES = 14 << 20;
const RAM_IOVA = 0x1_0000_0000n;

const KINDS = {
  i40e: { create: createI40eVfModel, plugin: i40eVf, vsiId: 7 },
  e810: { create: createE810VfModel, plugin: e810Vf, vsiId: 1 },
} as const;

export interface Lab {
  readonly kind: keyof typeof KINDS;
  /** Frames from the wire are neither recorded nor given again, as with hardware. */
  readonly blind?: boolean;
  /** Where a bug is put in; each takes the sound part and gives the broken one. */
  readonly base?: (device: VfioDevice) => VfioDevice;
  /** Breaks what core makes of a base, between the base and core's `compose`. */
  readonly core?: (device: VfioDevice) => VfioDevice;
  readonly plugin?: (definition: SubDriverDefinition) => SubDriverDefinition;
}

/** A model, on a wire that brings its frames back or nothing. */
function createModel({ kind, blind }: Lab, clock: Clock, loops: boolean): VfioDevice {
  let deliver: (frame: Uint8Array) => void = () => {};
  const { create, vsiId } = KINDS[kind];
  const { device } = create({
    name: "vf0",
    mac: "02:00:00:00:00:0a",
    vsiId,
    clock,
    port: {
      transmit(frame) {
        const copy = frame.slice();
        if (loops) clock.soon(() => deliver(copy));
      },
      attach: (receive) => (deliver = receive),
      close: () => (deliver = () => {}),
    },
  });
  return blind === true ? changed(device, { input: undefined }) : device;
}

async function openDevice(
  lab: Lab,
  mode: DriverMode,
  clock: Clock,
  loops: boolean,
): Promise<VfioDevice> {
  const model = createModel(lab, clock, loops);
  const base = lab.base?.(model) ?? model;
  if (mode === "base") return base;
  const beneath = lab.core?.(base) ?? base;
  // The tests change what a definition's attach gives, and nothing of its options.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const sound = KINDS[lab.kind].plugin as SubDriverDefinition;
  const plugin = lab.plugin?.(sound) ?? sound;
  const definition = mode === "active" ? plugin : transparentSubDriver(plugin);
  return compose(beneath, definition, { clock });
}

/** Records a guest's driver that comes up, sends frames, which come back to it, and goes. */
export async function recordRun(
  lab: Lab,
  mode: DriverMode,
  frames: number,
): Promise<{
  readonly file: Uint8Array;
  readonly recording: Recording;
  readonly received: number;
}> {
  const clock = createIdleClock();
  const device = await openDevice(lab, mode, clock, true);
  const writer = createRecordingWriter(recordingHeader(device, mode));
  const recorded = recordDevice(device, {
    sink: (value) => writer.add([{ type: "events", value }]),
    clock,
    logger: silentLogger,
  });
  const bytes = new Uint8Array(RAM_BYTES);
  const size = BigInt(RAM_BYTES);
  await recorded.mapDma({ iova: RAM_IOVA, size, read: true, write: true, memory: { bytes } });
  const received = await runGuest(recorded, bytes, frames, clock);
  await recorded[Symbol.asyncDispose]();
  writer.end();
  const parts: Uint8Array[] = [];
  for (;;) {
    const chunk = new Uint8Array(65_536);
    const count = await writer.read(chunk);
    if (count === 0) break;
    parts.push(chunk.subarray(0, count));
  }
  const file = Buffer.concat(parts);
  return { file, recording: await readRecording(file), received };
}

async function runGuest(
  device: VfioDevice,
  bytes: Uint8Array,
  frames: number,
  clock: Clock,
): Promise<number> {
  const received: number[] = [];
  const faults: GuestFault[] = [];
  const driver = createGuestDriver({
    device,
    ram: new GuestRam({ bytes, iova: RAM_IOVA }),
    clock,
    createEvent: directEvent,
    onFrame: ({ length }) => void received.push(length),
    onFault: (fault) => faults.push(fault),
    queuePairs: 2,
    ringSize: 64,
  });
  const pause = (): Promise<void> => new Promise((resolve) => void clock.after(1, resolve));
  await driver.start();
  for (let n = 0; n < frames; n++) {
    const frame = new Uint8Array(100 + n).fill(n + 1);
    frame.set([...MAC, ...MAC, 8, 0]);
    for (let tries = 0; !driver.send(frame) && tries < 10_000; tries++) await pause();
    if (n % 3 === 0) await pause();
  }
  for (let tries = 0; received.length < frames && tries < 2_000; tries++) await pause();
  await driver.remove();
  const [fault] = faults;
  if (fault !== undefined) throw fault;
  return received.length;
}

/** Replays a recording in a mode, on a wire that brings nothing. */
export async function replayRun(
  recording: Recording,
  lab: Lab,
  mode: DriverMode,
): Promise<Recording> {
  const clock = createIdleClock();
  const device = await openDevice(lab, mode, clock, false);
  try {
    return await replayRecording(device, { recording, mode, clock, logger: silentLogger });
  } finally {
    await device[Symbol.asyncDispose]();
  }
}
