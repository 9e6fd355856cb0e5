import type { StateFormat, StateRecordType } from "../sub-driver/definition.ts";
import type { StateRecord } from "../sub-driver/facets.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import type { Frame } from "./frame.ts";
import { RECORD_TYPE, type StateLimits } from "./layout.ts";
import { decodePayload, encodePayload } from "./payload.ts";
import { recordError, recordTypeName, type RecordPlace } from "./record-place.ts";
import { type StateHeader, stateHeaderSchema } from "./state-header.ts";
import { firstDropped } from "./value-compare.ts";

/** The part of a zod schema that is used here. */
interface Schema<T> {
  safeParse(value: unknown):
    | { readonly success: true; readonly data: T }
    | {
        readonly success: false;
        readonly error: {
          readonly issues: readonly { readonly path: readonly PropertyKey[]; message: string }[];
        };
      };
}

/** Names the record that `frame` is. */
export function placeOf(frame: Frame, format: StateFormat | undefined): RecordPlace {
  const { index, offset, type } = frame;
  return { index, offset, type, name: recordTypeName(type, format) };
}

/** @throws VfmigError `ERR_VFMIG_STATE_PAYLOAD`, `ERR_VFMIG_STATE_LIMIT`, `ERR_VFMIG_STATE_SCHEMA` */
export function decodeHeader(frame: Frame, limits: StateLimits): StateHeader {
  const place = placeOf(frame, undefined);
  return validate(stateHeaderSchema, decodePayload(frame.payload, limits, place), place);
}

/**
 * The plugin's record in `frame`, or undefined where it is unknown and optional.
 * @throws VfmigError `ERR_VFMIG_STATE_RECORD_TYPE`, `ERR_VFMIG_STATE_PAYLOAD`, `ERR_VFMIG_STATE_LIMIT`,
 * `ERR_VFMIG_STATE_SCHEMA`
 */
export function decodeRecord(
  frame: Frame,
  format: StateFormat,
  limits: StateLimits,
): StateRecord | undefined {
  const place = placeOf(frame, format);
  const known = place.name === undefined ? undefined : format.records[place.name];
  if (place.name === undefined || known === undefined) {
    if (!frame.mandatory) return undefined;
    throw recordError(
      "ERR_VFMIG_STATE_RECORD_TYPE",
      place,
      "the plugin does not know this type, and it is marked mandatory",
      { details: { known: Object.keys(format.records) } },
    );
  }
  const value = decodePayload(frame.payload, limits, place);
  return { type: place.name, value: validate(known.schema, value, place) };
}

/** One record, ready to be framed. */
export interface EncodedRecord {
  readonly type: number;
  readonly mandatory: boolean;
  readonly payload: Uint8Array;
}

/** @throws VfmigError as {@link decodeRecord}, on the saving side */
export function encodeRecord(
  record: StateRecord,
  format: StateFormat,
  limits: StateLimits,
  index: number,
  offset: number,
): EncodedRecord {
  const type = typeOf(record, format, { index, offset });
  const place: RecordPlace = { index, offset, type: type.id, name: record.type };
  const { bytes, decoded } = encodePayload(record.value, limits, place);
  validate(type.schema, decoded, place);
  return { type: type.id, mandatory: type.mandatory, payload: bytes };
}

/** @throws VfmigError as {@link decodeHeader} */
export function encodeHeader(header: StateHeader, limits: StateLimits): EncodedRecord {
  const place: RecordPlace = { index: 0, offset: 0, type: RECORD_TYPE.header, name: "header" };
  const { bytes, decoded } = encodePayload(header, limits, place);
  validate(stateHeaderSchema, decoded, place);
  return { type: RECORD_TYPE.header, mandatory: true, payload: bytes };
}

/**
 * Who may load this: the driver by name, and a version in `reads`.
 * @throws VfmigError `ERR_VFMIG_STATE_DRIVER`, `ERR_VFMIG_STATE_VERSION`
 */
export function checkHeader(
  header: StateHeader,
  format: StateFormat,
  driver: string | undefined,
): void {
  const { name, version } = header.driver;
  const details = { layer: "core", details: { driver: header.driver } } as const;
  if (driver !== undefined && name !== driver) {
    throw new VfmigError(
      "ERR_VFMIG_STATE_DRIVER",
      `Device state, record 0 (type 1 "header"): written by driver "${name}" ${version}; ` +
        `this device is driven by "${driver}"`,
      details,
    );
  }
  if (!format.reads.includes(header.stateVersion)) {
    throw new VfmigError(
      "ERR_VFMIG_STATE_VERSION",
      `Device state, record 0 (type 1 "header"): state version ${header.stateVersion}, written by ` +
        `driver "${name}" ${version}; this plugin reads ${format.reads.join(", ")}`,
      { ...details, details: { version: header.stateVersion, reads: format.reads } },
    );
  }
}

function typeOf(
  record: StateRecord,
  format: StateFormat,
  at: { readonly index: number; readonly offset: number },
): StateRecordType {
  const name: unknown = record?.type;
  const type =
    typeof name === "string" && Object.hasOwn(format.records, name)
      ? format.records[name]
      : undefined;
  if (type !== undefined) return type;
  throw recordError(
    "ERR_VFMIG_STATE_RECORD_TYPE",
    { ...at, name: typeof name === "string" ? name : undefined },
    `the plugin's state format has no record type "${String(name)}"; ` +
      `it has ${Object.keys(format.records).join(", ")}`,
  );
}

/** A refinement of the plugin may throw, and an asynchronous one makes zod throw. */
function parse<T>(
  schema: Schema<T>,
  value: unknown,
  place: RecordPlace,
): ReturnType<Schema<T>["safeParse"]> {
  try {
    return schema.safeParse(value);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const what = `the plugin's schema failed on the value: ${why}`;
    throw recordError("ERR_VFMIG_STATE_SCHEMA", place, what, { cause });
  }
}

function validate<T>(schema: Schema<T>, value: unknown, place: RecordPlace): T {
  const result = parse(schema, value, place);
  if (!result.success) {
    const fields = result.error.issues.map((issue) => ({
      field: issue.path.map(String).join(".") || "(value)",
      message: issue.message,
    }));
    const list = fields.slice(0, 8).map((issue) => `${issue.field}: ${issue.message}`);
    throw recordError("ERR_VFMIG_STATE_SCHEMA", place, list.join("; "), { details: { fields } });
  }
  const dropped = firstDropped(value, result.data);
  if (dropped !== undefined) {
    const what = `${dropped}: the schema does not name this field, so it would be lost`;
    throw recordError("ERR_VFMIG_STATE_SCHEMA", place, what, { details: { field: dropped } });
  }
  return result.data;
}
