import type { StateFormat } from "../sub-driver/definition.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import { fieldNotes } from "./field-notes.ts";
import type { Frame } from "./frame.ts";
import { FrameReader } from "./frame-reader.ts";
import {
  DEFAULT_STATE_LIMITS,
  RECORD_TYPE,
  STATE_FORMAT_VERSION,
  type StateLimits,
} from "./layout.ts";
import { decodePayload } from "./payload.ts";
import { decodeHeader, decodeRecord, placeOf } from "./record-codec.ts";
import { recordError, type RecordPlace, recordTypeName } from "./record-place.ts";
import { countNodes, type FieldNotes, type StateNode, toStateNode } from "./state-tree.ts";

/** Values that a tree shows; a hostile stream could ask for hundreds of bytes of tree per byte. */
const SHOWN_VALUES = 500_000;

/** An error, as plain JSON. */
export interface StateProblem {
  readonly code: string;
  readonly message: string;
}

export interface StateTreeRecord {
  readonly index: number;
  /** Bytes from the beginning of the stream. */
  readonly offset: number;
  /** Payload bytes. */
  readonly length: number;
  readonly type: number;
  /** `header`, `end`, or a type's name in the plugin's format where that is given. */
  readonly name?: string;
  readonly mandatory: boolean;
  /** A later record of the same type takes its place when the state is loaded. */
  readonly replaced: boolean;
  /** Absent where the payload cannot be decoded. */
  readonly content?: StateNode;
  /** What is wrong with this record: its payload, or, with a format, its value. */
  readonly problems: readonly StateProblem[];
}

/** A whole stream as plain JSON. */
export interface StateTree {
  readonly schemaVersion: 1;
  readonly formatVersion: number;
  /** Bytes of the stream. */
  readonly bytes: number;
  /** True where the stream is whole and no record has a problem. */
  readonly sound: boolean;
  readonly driver?: { readonly name: string; readonly version: string };
  readonly stateVersion?: number;
  readonly records: readonly StateTreeRecord[];
  /** Why reading stopped; records before it are shown. */
  readonly stopped?: StateProblem;
}

/**
 * Shows any device state, whole or damaged. Without `format` the plugin is not needed; with it types
 * are named, values checked, and fields described. Never throws for what the bytes hold.
 */
export function inspectState(
  bytes: Uint8Array,
  format?: StateFormat,
  limits?: Partial<StateLimits>,
): StateTree {
  const bounds = { ...DEFAULT_STATE_LIMITS, ...limits };
  const frames = new FrameReader(bounds, (type) => recordTypeName(type, format));
  const inspector = new Inspector(format, bounds);
  const records: StateTreeRecord[] = [];
  let stopped: StateProblem | undefined;
  let head: Pick<StateTree, "driver" | "stateVersion"> = {};
  try {
    frames.feed(bytes);
    for (let frame = frames.next(); frame !== undefined; frame = frames.next()) {
      if (frame.type === RECORD_TYPE.header) head = headOf(frame, bounds);
      records.push(inspector.record(frame));
    }
    frames.finish();
  } catch (error) {
    stopped = toProblem(error);
  }
  const shown = markReplaced(records);
  return {
    schemaVersion: 1,
    formatVersion: STATE_FORMAT_VERSION,
    bytes: bytes.length,
    sound: stopped === undefined && shown.every((record) => record.problems.length === 0),
    ...head,
    records: shown,
    ...(stopped === undefined ? {} : { stopped }),
  };
}

function headOf(frame: Frame, limits: StateLimits): Pick<StateTree, "driver" | "stateVersion"> {
  try {
    const { driver, stateVersion } = decodeHeader(frame, limits);
    return { driver, stateVersion };
  } catch {
    // The record itself shows what is wrong with it.
    return {};
  }
}

/** Inspects the records of one stream. */
class Inspector {
  readonly #format: StateFormat | undefined;
  readonly #limits: StateLimits;
  readonly #notes: Map<string, FieldNotes | undefined> = new Map();
  #left = SHOWN_VALUES;

  constructor(format: StateFormat | undefined, limits: StateLimits) {
    this.#format = format;
    this.#limits = limits;
  }

  record(frame: Frame): StateTreeRecord {
    const place = placeOf(frame, this.#format);
    const problems: StateProblem[] = [];
    let content: StateNode | undefined;
    try {
      const value = decodePayload(frame.payload, this.#limits, place);
      content = this.#content(place, value);
      if (frame.type === RECORD_TYPE.header) decodeHeader(frame, this.#limits);
      else if (frame.type !== RECORD_TYPE.end && this.#format !== undefined) {
        decodeRecord(frame, this.#format, this.#limits);
      }
    } catch (error) {
      problems.push(toProblem(error));
    }
    return {
      index: frame.index,
      offset: frame.offset,
      length: frame.payload.length,
      type: frame.type,
      ...(place.name === undefined ? {} : { name: place.name }),
      mandatory: frame.mandatory,
      replaced: false,
      ...(content === undefined ? {} : { content }),
      problems,
    };
  }

  #content(place: RecordPlace, value: unknown): StateNode {
    if (this.#left <= 0) {
      throw recordError("ERR_VFMIG_STATE_LIMIT", place, `more than ${SHOWN_VALUES} values to show`);
    }
    const name = place.name ?? `type ${place.type}`;
    const node = toStateNode(name, value, this.#notesOf(name));
    this.#left -= countNodes(node);
    return node;
  }

  #notesOf(name: string): FieldNotes | undefined {
    const type = this.#format?.records[name];
    if (type === undefined) return undefined;
    if (!this.#notes.has(name)) this.#notes.set(name, fieldNotes(type.schema));
    return this.#notes.get(name);
  }
}

function markReplaced(records: readonly StateTreeRecord[]): StateTreeRecord[] {
  const last = new Map<number, number>();
  for (const { type, index } of records) last.set(type, index);
  return records.map((record) => ({ ...record, replaced: last.get(record.type) !== record.index }));
}

/** What reading throws, as plain JSON; anything but a vfmig error is a fault of this package and passes. */
export function toProblem(error: unknown): StateProblem {
  if (!VfmigError.is(error)) throw error;
  return { code: error.code, message: error.message };
}
