import type { SubDriverDefinition } from "../sub-driver/definition.ts";
import type { DeviceDescription, Incompatibility } from "../sub-driver/description.ts";
import { compareDescriptions } from "./compare-descriptions.ts";
import { type StateProblem, toProblem } from "./inspect.ts";
import { FrameReader } from "./frame-reader.ts";
import { DEFAULT_STATE_LIMITS, RECORD_TYPE, type StateLimits } from "./layout.ts";
import { checkHeader, decodeHeader, decodeRecord } from "./record-codec.ts";
import { recordTypeName } from "./record-place.ts";
import type { StateHeader } from "./state-header.ts";
import { VfmigError } from "../errors/vfmig-error.ts";

/** The part of a sub-driver that a dry run needs. */
export type DryRunDriver = Pick<SubDriverDefinition, "name" | "state" | "compare">;

/** What loading a state would meet; nothing was applied. */
export interface DryRunReport {
  /** True where nothing speaks against loading it. */
  readonly ok: boolean;
  readonly header?: StateHeader;
  /** Records of the plugin that would be loaded. */
  readonly records: number;
  /** Optional records that the plugin does not know. */
  readonly skipped: number;
  /** Faults of the bytes, the header or a record's value. */
  readonly problems: readonly StateProblem[];
  /** Why the target cannot take the device, by the source's description in the header. */
  readonly incompatibilities: readonly Incompatibility[];
}

/**
 * Reads, checks and compares a whole state as a load would, and applies nothing. All reasons are
 * gathered, as far as the bytes can be read.
 * @throws VfmigError `ERR_VFMIG_STATE_VERSION` where the plugin has no state format at all
 */
export function dryRun(
  bytes: Uint8Array,
  definition: DryRunDriver,
  target: DeviceDescription,
  limits?: Partial<StateLimits>,
): DryRunReport {
  const format = definition.state;
  if (format === undefined) {
    throw new VfmigError(
      "ERR_VFMIG_STATE_VERSION",
      `Plugin "${definition.name}" has no state format, so it can load no device state`,
      { layer: "core" },
    );
  }
  const bounds = { ...DEFAULT_STATE_LIMITS, ...limits };
  const frames = new FrameReader(bounds, (type) => recordTypeName(type, format));
  const problems: StateProblem[] = [];
  const counts = { records: 0, skipped: 0 };
  let header: StateHeader | undefined;
  const attempt = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      problems.push(toProblem(error));
    }
  };
  attempt(() => {
    frames.feed(bytes);
    for (let frame = frames.next(); frame !== undefined; frame = frames.next()) {
      const current = frame;
      if (current.type === RECORD_TYPE.header) {
        attempt(() => {
          header = decodeHeader(current, bounds);
          checkHeader(header, format, definition.name);
        });
      } else if (current.type !== RECORD_TYPE.end) {
        attempt(() => {
          counts[decodeRecord(current, format, bounds) === undefined ? "skipped" : "records"] += 1;
        });
      }
    }
    frames.finish();
  });
  const incompatibilities =
    header === undefined ? [] : compareDescriptions(definition, header.description, target);
  const ok = problems.length === 0 && incompatibilities.length === 0;
  const report = { ok, ...counts, problems, incompatibilities };
  return header === undefined ? report : { ...report, header };
}
