import type { MigrationFacet } from "@vfmig/core";
import {
  DEVICE_FEATURE,
  FEATURE,
  FEATURE_FLAG,
  writeFeatureHead,
  type FeatureHead,
} from "../../codec/device-feature.ts";
import { refusal } from "../../codec/errno.ts";
import {
  MIG_STATE,
  readMigrationState,
  U64_BYTES,
  writeMigrationFlags,
  writeMigrationState,
} from "../../codec/migration.ts";
import { needArgsz, writeU64 } from "../../codec/wire.ts";
import type { Message } from "../../transport/message.ts";
import type { Ticket } from "../reply-writer.ts";
import type { Session } from "../session.ts";

/** @throws VfmigError `ERR_VFMIG_VFIO_USER_REQUEST` where the device cannot migrate */
export function migrationOf(session: Session): MigrationFacet {
  const { migration } = session.device;
  if (migration === undefined) throw refusal("ENOTTY", "the device cannot migrate");
  return migration;
}

/** Feature MIGRATION, GET. */
export function migrationFlags(session: Session, message: Message, head: FeatureHead): void {
  const total = DEVICE_FEATURE.BYTES + U64_BYTES;
  needArgsz("feature MIGRATION", head.argsz, total);
  const { replies } = session;
  writeFeatureHead(replies.view, replies.at, total, FEATURE.MIGRATION, FEATURE_FLAG.GET);
  const at = replies.at + DEVICE_FEATURE.DATA;
  writeMigrationFlags(replies.view, at, migrationOf(session).capabilities);
  replies.send(message, total);
}

/** Feature MIG_DEVICE_STATE, GET: behind the state changes that came before. */
export function migrationState(session: Session, message: Message, head: FeatureHead): void {
  const total = DEVICE_FEATURE.BYTES + MIG_STATE.BYTES;
  needArgsz("feature MIG_DEVICE_STATE", head.argsz, total);
  const migration = migrationOf(session);
  session.defer(session.migrationLane, message, (ticket) =>
    sendState(session, ticket, migration, FEATURE_FLAG.GET),
  );
}

/** Feature MIG_DEVICE_STATE, SET: answered when the whole path has been walked. */
export function setMigrationState(
  session: Session,
  message: Message,
  _head: FeatureHead,
  at: number,
  length: number,
): void {
  const target = readMigrationState(message.view, at, length);
  const migration = migrationOf(session);
  session.defer(session.migrationLane, message, async (ticket) => {
    await migration.setState(target);
    sendState(session, ticket, migration, FEATURE_FLAG.SET);
  });
}

function sendState(
  session: Session,
  ticket: Ticket,
  migration: MigrationFacet,
  operation: number,
): void {
  const { replies } = session;
  const total = DEVICE_FEATURE.BYTES + MIG_STATE.BYTES;
  writeFeatureHead(replies.view, replies.at, total, FEATURE.MIG_DEVICE_STATE, operation);
  writeMigrationState(replies.view, replies.at + DEVICE_FEATURE.DATA, migration.state);
  replies.send(ticket, total);
}

/** Feature MIG_DATA_SIZE, GET. */
export function migrationSize(session: Session, message: Message, head: FeatureHead): void {
  const total = DEVICE_FEATURE.BYTES + U64_BYTES;
  needArgsz("feature MIG_DATA_SIZE", head.argsz, total);
  const migration = migrationOf(session);
  session.defer(session.migrationLane, message, async (ticket) => {
    const size = await migration.dataSize();
    const { replies } = session;
    writeFeatureHead(replies.view, replies.at, total, FEATURE.MIG_DATA_SIZE, FEATURE_FLAG.GET);
    writeU64(replies.view, replies.at + DEVICE_FEATURE.DATA, size);
    replies.send(ticket, total);
  });
}
