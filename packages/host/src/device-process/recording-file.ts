import { closeSync, openSync, writeSync } from "node:fs";
import {
  createRecordingWriter,
  recordDevice,
  recordingHeader,
  replayRecording,
  type Clock,
  type ConfiguredDriver,
  type DriverReference,
  type Logger,
  type RecordedDevice,
  type Recording,
  type StateWriter,
} from "@vfmig/core";
import type { NativeIo } from "@vfmig/linux";
import type { OpenedDevice } from "../opening/device-opener.ts";
import { createIrqEvent } from "../opening/irq-event.ts";
import { allocateShared } from "../opening/shared-memory.ts";

const CHUNK = 262_144;

/**
 * Records a device into a file, readable by its owner only, since it holds memory of the guest. Closing the
 * answer closes the device, and then the file.
 */
export function recordIntoFile(
  { device, mode, configured }: OpenedDevice,
  path: string,
  io: NativeIo,
  clock: Clock,
  logger: Logger,
): RecordedDevice {
  const file = new RecordingFile(
    path,
    createRecordingWriter(recordingHeader(device, mode, inHeader(configured))),
    logger,
  );
  const recorded = recordDevice(device, {
    sink: (batch) => file.add(batch),
    clock,
    logger,
    createIrqEvent: (onSignal) => createIrqEvent(io, onSignal),
  });
  const close = recorded[Symbol.asyncDispose].bind(recorded);
  recorded[Symbol.asyncDispose] = async () => {
    const early = recorded.ended;
    try {
      await close();
    } finally {
      await file.end(early);
    }
  };
  return recorded;
}

/** Options are plain data, whatever else a configuration written in TypeScript may hold. */
function inHeader(configured: DriverReference | undefined): ConfiguredDriver | undefined {
  if (configured === undefined) return undefined;
  const options = JSON.parse(JSON.stringify(configured.options ?? {})) as Record<string, unknown>;
  return { package: configured.package, options };
}

/** Replays a recording against a fresh device and records that into a file; closes the device. */
export async function replayIntoFile(
  { device, mode, configured }: OpenedDevice,
  { recording, output: path }: { readonly recording: Recording; readonly output: string },
  io: NativeIo,
  clock: Clock,
  logger: Logger,
): Promise<void> {
  let replayed: Recording;
  const batches: Uint8Array[] = [];
  try {
    replayed = await replayRecording(device, {
      recording,
      mode,
      clock,
      logger,
      allocate: (bytes) => allocateShared(io, bytes),
      createIrqEvent: (onSignal) => createIrqEvent(io, onSignal),
      onBatch: (batch) => batches.push(batch),
    });
  } finally {
    await device[Symbol.asyncDispose]();
  }
  const header = { ...replayed, configured: inHeader(configured) };
  const output = new RecordingFile(path, createRecordingWriter(header), logger);
  for (const batch of batches) output.add(batch);
  await output.end(replayed.ended);
}

/** What a writer gives, on disk; a disk that is full ends the file and not the device. */
class RecordingFile {
  readonly #path: string;
  readonly #writer: StateWriter;
  readonly #logger: Logger;
  readonly #chunk = new Uint8Array(CHUNK);
  #fd: number | undefined;
  #draining: Promise<void> = Promise.resolve();

  constructor(path: string, writer: StateWriter, logger: Logger) {
    this.#path = path;
    this.#writer = writer;
    this.#logger = logger;
    this.#fd = openSync(path, "w", 0o600);
  }

  add(batch: Uint8Array): void {
    if (this.#fd === undefined) return;
    this.#writer.add([{ type: "events", value: batch }]);
    this.#draining = this.#draining.then(() => this.#drain());
  }

  async end(why: string | undefined): Promise<void> {
    if (this.#fd === undefined) return;
    if (why !== undefined) this.#writer.add([{ type: "ended", value: why }]);
    this.#writer.end();
    await this.#draining;
    await this.#drain();
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  async #drain(): Promise<void> {
    try {
      for (;;) {
        const count = await this.#writer.read(this.#chunk);
        if (count === 0 || this.#fd === undefined) return;
        for (let at = 0; at < count;) at += writeSync(this.#fd, this.#chunk, at, count - at);
      }
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#logger.warn(`The recording in ${this.#path} ends here: ${why}`, { path: this.#path });
      if (this.#fd !== undefined) closeSync(this.#fd);
      this.#fd = undefined;
    }
  }
}
