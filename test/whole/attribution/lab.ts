import {
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
  systemClock,
  transparentSubDriver,
  type VfioDevice,
} from "@vfmig/core";
import i40eVf from "@vfmig/plugin-i40e";
import {
  createGuestDriver,
  createI40eVfModel,
  directEvent,
  type GuestFault,
  GuestRam,
} from "@vfmig/testkit";

const MAC = [2, 0, 0, 0, 0, 0x0a];
const RAM_BYTES = 14 << 20;
const RAM_IOVA = 0x1_0000_0000n;
/** iavf's capability bits without those that the plugin hides, since it cannot carry them. */
const CAPABILITIES = 0x0119_0081;

/** Where a bug is put in; each takes the sound part and gives the broken one. */
export interface Bugs {
  readonly base?: (device: VfioDevice) => VfioDevice;
  /** Breaks what core makes of a base, between the base and core's `compose`. */
  readonly core?: (device: VfioDevice) => VfioDevice;
  readonly plugin?: (definition: SubDriverDefinition) => SubDriverDefinition;
}

/** A model whose frames come back from the wire. */
function createLoopedModel(): VfioDevice {
  let deliver: (frame: Uint8Array) => void = () => {};
  const { device } = createI40eVfModel({
    name: "vf0",
    mac: "02:00:00:00:00:0a",
    vsiId: 7,
    clock: systemClock,
    port: {
      transmit(frame) {
        const copy = frame.slice();
        systemClock.soon(() => deliver(copy));
      },
      attach: (receive) => (deliver = receive),
      close: () => (deliver = () => {}),
    },
  });
  return device;
}

/** A fresh device in a mode, with bugs where they are wanted. */
export async function openDevice(mode: DriverMode, bugs: Bugs = {}): Promise<VfioDevice> {
  const model = createLoopedModel();
  const base = bugs.base?.(model) ?? model;
  if (mode === "base") return base;
  const beneath = bugs.core?.(base) ?? base;
  // The tests change what a definition's attach gives, and nothing of its options.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const sound = i40eVf as SubDriverDefinition;
  const plugin = bugs.plugin?.(sound) ?? sound;
  const definition = mode === "active" ? plugin : transparentSubDriver(plugin);
  return compose(beneath, definition, { clock: systemClock });
}

/** Records a guest's driver that comes up and sends frames, which come back to it. */
export async function recordRun(
  mode: DriverMode,
  frames: number,
  bugs: Bugs = {},
): Promise<{
  readonly bytes: Uint8Array;
  readonly recording: Recording;
  readonly received: number;
}> {
  const device = await openDevice(mode, bugs);
  const writer = createRecordingWriter(recordingHeader(device.info, mode));
  let open = true;
  const recorded = recordDevice(device, {
    sink: (value) => {
      if (open) writer.add([{ type: "events", value }]);
    },
    clock: systemClock,
    logger: silentLogger,
  });
  const bytes = new Uint8Array(RAM_BYTES);
  const size = BigInt(RAM_BYTES);
  await recorded.mapDma({ iova: RAM_IOVA, size, read: true, write: true, memory: { bytes } });
  const received = await runGuest(recorded, bytes, frames, () => {
    recorded.flush();
    open = false;
  });
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
  return { bytes: file, recording: await readRecording(file), received };
}

async function runGuest(
  device: VfioDevice,
  bytes: Uint8Array,
  frames: number,
  onDone: () => void,
): Promise<number> {
  let received = 0;
  const faults: GuestFault[] = [];
  const driver = createGuestDriver({
    device,
    ram: new GuestRam({ bytes, iova: RAM_IOVA }),
    clock: systemClock,
    createEvent: directEvent,
    onFrame: () => void received++,
    onFault: (fault) => faults.push(fault),
    queuePairs: 2,
    ringSize: 64,
    capabilities: CAPABILITIES,
  });
  await driver.start();
  for (let n = 0; n < frames; n++) {
    const frame = new Uint8Array(100 + n).fill(n + 1);
    frame.set([...MAC, ...MAC, 8, 0]);
    for (let tries = 0; !driver.send(frame) && tries < 10_000; tries++) await pause(1);
    if (n % 3 === 0) await pause(1);
  }
  for (let tries = 0; received < frames && tries < 2_000; tries++) await pause(1);
  onDone();
  await driver.remove();
  const [fault] = faults;
  if (fault !== undefined) throw fault;
  return received;
}

/** Replays a recording in a mode. */
export async function replayRun(
  recording: Recording,
  mode: DriverMode,
  bugs: Bugs = {},
): Promise<Recording> {
  const device = await openDevice(mode, bugs);
  const limits = { waitMs: 300, settleMs: 30 };
  const parts = { recording, mode, clock: systemClock, logger: silentLogger, limits };
  try {
    return await replayRecording(device, parts);
  } finally {
    await device[Symbol.asyncDispose]();
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    systemClock.after(ms, resolve);
  });
}
