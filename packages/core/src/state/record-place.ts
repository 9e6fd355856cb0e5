import type { StateFormat } from "../sub-driver/definition.ts";
import { VfmigError, type VfmigErrorCode } from "../errors/vfmig-error.ts";
import { RECORD_TYPE } from "./layout.ts";

/** Where a record stands in its stream; every error about a record carries it. */
export interface RecordPlace {
  /** 0 is the header. */
  readonly index: number;
  /** Bytes from the beginning of the stream to the record's head. */
  readonly offset: number;
  /** Undefined where the stream ended before the type. */
  readonly type?: number | undefined;
  /** The type's name, where it is known. */
  readonly name?: string | undefined;
}

/** Name of a record type: the format's own, else the plugin's. */
export function recordTypeName(type: number, format: StateFormat | undefined): string | undefined {
  if (type === RECORD_TYPE.header) return "header";
  if (type === RECORD_TYPE.end) return "end";
  if (format === undefined) return undefined;
  for (const name of Object.keys(format.records)) {
    if (format.records[name]?.id === type) return name;
  }
  return undefined;
}

/** `record 3 (type 17 "queue") at offset 120`. */
export function describePlace(place: RecordPlace): string {
  const type = place.type === undefined ? "type not reached" : `type ${place.type}`;
  const name = place.name === undefined ? "" : ` "${place.name}"`;
  return `record ${place.index} (${type}${name}) at offset ${place.offset}`;
}

/** An error that names the record: index, type and offset, in words and in `details`. */
export function recordError(
  code: VfmigErrorCode,
  place: RecordPlace,
  what: string,
  options: { readonly details?: Readonly<Record<string, unknown>>; readonly cause?: unknown } = {},
): VfmigError {
  return new VfmigError(code, `Device state, ${describePlace(place)}: ${what}`, {
    layer: "core",
    details: {
      record: place.index,
      offset: place.offset,
      type: place.type,
      name: place.name,
      ...options.details,
    },
    cause: options.cause,
  });
}
