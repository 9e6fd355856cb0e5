import { z } from "zod";
import type { DeviceIdentity } from "../device/info.ts";
import type { VfioDevice } from "../device/vfio-device.ts";
import { createStateReader } from "../state/state-reader.ts";
import { createStateWriter, type StateWriter } from "../state/state-writer.ts";
import type { StateHeader } from "../state/state-header.ts";
import type { StateFormat } from "../sub-driver/definition.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import { formatError, unpackEvents } from "./event-codec.ts";
import type { RecordedEvent } from "./events.ts";
import { DRIVER_MODES, type DriverMode } from "./driver-mode.ts";

/** A file of recorded events has the device state's frame: header, records with checksums, end. */
const FORMAT: StateFormat = {
  version: 1,
  reads: [1],
  records: {
    events: { id: 16, mandatory: true, schema: z.instanceof(Uint8Array) },
    // Why recording ended before the device did.
    ended: { id: 17, mandatory: false, schema: z.string() },
  },
};
const WRITER = { name: "vfmig-recording", version: "1" };

/** The driver that the configuration named, and its options, whatever ran in its place. */
export interface ConfiguredDriver {
  readonly package: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** What a recording says of the device that it was made of. */
export interface RecordingHeader {
  readonly identity: DeviceIdentity;
  readonly mode: DriverMode;
  /** Sizes in bytes, by index. */
  readonly regions: readonly number[];
  /** Vectors, by index. */
  readonly irqs: readonly number[];
  /** True where what reached the device from outside is in it, or was given to it again. */
  readonly input: boolean;
  /** True of a replay; absent of what was recorded first. */
  readonly replay?: boolean | undefined;
  /** So that a replay runs the driver as it ran; absent where none was configured. */
  readonly configured?: ConfiguredDriver | undefined;
}

export interface Recording extends RecordingHeader {
  readonly events: readonly RecordedEvent[];
  /** Why it ends before the device did: a limit, or a file that was cut off. */
  readonly ended?: string | undefined;
}

/** The header for a device that runs in `mode`. */
export function recordingHeader(
  { info, input }: Pick<VfioDevice, "info" | "input">,
  mode: DriverMode,
  configured?: ConfiguredDriver,
): RecordingHeader {
  return {
    ...(configured && { configured }),
    identity: info.identity,
    mode,
    input: input !== undefined,
    regions: info.regions.map(({ size }) => size),
    irqs: info.irqs.map(({ count }) => count),
  };
}

/**
 * Opens the writer of a recording's file: `add({ type: "events", value: batch })`, then `end`.
 * @throws VfmigError `ERR_VFMIG_STATE_SCHEMA`, `ERR_VFMIG_STATE_PAYLOAD`
 */
export function createRecordingWriter(header: RecordingHeader): StateWriter {
  const { identity, mode, regions, irqs, input, replay, configured } = header;
  const { vendor = 0, device = 0 } = identity.pci ?? {};
  return createStateWriter({
    format: FORMAT,
    header: {
      driver: WRITER,
      stateVersion: FORMAT.version,
      device: identity,
      description: {
        driver: WRITER,
        state: { version: FORMAT.version, reads: FORMAT.reads },
        device: { vendor, device },
        offers: {
          mode,
          regions: [...regions],
          irqs: [...irqs],
          input,
          ...(replay && { replay }),
          ...(configured && { configured }),
        },
        uses: {},
      },
    },
  });
}

const offersSchema = z.looseObject({
  mode: z.enum(DRIVER_MODES),
  regions: z.array(z.int().min(0)).max(4096),
  irqs: z.array(z.int().min(0)).max(4096),
  input: z.boolean().default(false),
  replay: z.boolean().optional(),
  configured: z
    .object({ package: z.string(), options: z.record(z.string(), z.unknown()) })
    .optional(),
});

/**
 * Reads a recording. One that was cut off, as by the death of its process, is read up to there.
 * @throws VfmigError `ERR_VFMIG_RECORDING_FORMAT`
 */
export async function readRecording(bytes: Uint8Array): Promise<Recording> {
  let header: RecordingHeader | undefined;
  let ended: string | undefined;
  const events: RecordedEvent[] = [];
  const reader = createStateReader({
    format: FORMAT,
    driver: WRITER.name,
    onHeader: (state) => void (header = headerOf(state)),
    onRecord({ type, value }) {
      if (value instanceof Uint8Array) unpackEvents(value, events);
      else if (type === "ended") ended = String(value);
    },
  });
  try {
    await reader.write(bytes);
    reader.finish();
  } catch (error) {
    const cutOff = VfmigError.is(error) && error.code === "ERR_VFMIG_STATE_TRUNCATED";
    if (!cutOff || header === undefined) {
      throw formatError(error instanceof Error ? error.message : String(error), error);
    }
    ended = "the file was cut off";
  }
  if (header === undefined) throw formatError("it has no header");
  checkOrder(events);
  return { ...header, events, ended };
}

function headerOf(state: StateHeader): RecordingHeader {
  const offers = offersSchema.safeParse(state.description.offers);
  if (!offers.success) throw formatError(`its header is none: ${offers.error.message}`);
  const { mode, regions, irqs, input, replay, configured } = offers.data;
  return {
    identity: state.device,
    mode,
    regions,
    irqs,
    input,
    ...(replay && { replay }),
    ...(configured && { configured }),
  };
}

/** Steps are counted from 0 without a gap; whatever happened refers to one before it. */
function checkOrder(events: readonly RecordedEvent[]): void {
  let last = -1;
  for (const event of events) {
    const step = event.kind === "read" || event.kind === "write" || event.kind === "call";
    // A replay may read a place again; the number stays.
    const right = step ? event.op === last + 1 || event.op === last : event.op <= Math.max(0, last);
    if (!right) throw formatError(`step ${event.op} follows step ${last}`);
    if (step) last = event.op;
  }
}
