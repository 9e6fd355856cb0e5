import { HEADER } from "../../codec/header.ts";
import {
  MIG_DATA,
  PRECOPY_INFO,
  readMigDataRequest,
  readMigDataSize,
  writeMigData,
  writePrecopyInfo,
} from "../../codec/migration.ts";
import { needArgsz, needPayload } from "../../codec/wire.ts";
import type { Message } from "../../transport/message.ts";
import type { Session } from "../session.ts";
import { migrationOf } from "./migration.ts";
import { checkLimit } from "./region.ts";

/**
 * `VFIO_USER_MIG_DATA_READ`. Data are read into a buffer of their own, since other replies are built
 * while the device fills it. What was asked for and not there is sent as zeros, which strict clients need.
 */
export function migDataRead(session: Session, message: Message): void {
  const { view, at, length } = message;
  const size = readMigDataRequest(view, at, length, session.negotiated.replyLimit);
  const migration = migrationOf(session);
  session.defer(session.migrationLane, message, async (ticket) => {
    await session.roomToSend();
    if (session.connection.closed) return;
    const writer = session.writerOf(session.migrationLane);
    writer.reserve(MIG_DATA.BYTES + size);
    const from = HEADER.BYTES + MIG_DATA.DATA;
    const got = await migration.readData(writer.bytes.subarray(from, from + size));
    writeMigData(writer.view, writer.at, MIG_DATA.BYTES + got, got);
    writer.bytes.fill(0, from + got, from + size);
    writer.send(ticket, MIG_DATA.BYTES + size);
  });
}

/** `VFIO_USER_MIG_DATA_WRITE`. */
export function migDataWrite(session: Session, message: Message): void {
  const { view, at, length } = message;
  const size = readMigDataSize(view, at, length, "VFIO_USER_MIG_DATA_WRITE");
  checkLimit("MIG_DATA_WRITE", size, session.settings.maxDataTransferSize);
  const migration = migrationOf(session);
  // Further messages are received before the device is done with the data.
  const from = at + MIG_DATA.DATA;
  const data = session.spare.take(session.connection.reader, from, from + size);
  session.defer(
    session.migrationLane,
    message,
    async (ticket) => {
      await migration.writeData(data);
      session.replies.send(ticket, 0);
    },
    size,
    () => session.spare.giveBack(data),
  );
}

/** Command 19: the pre-copy sizes. */
export function precopyInfo(session: Session, message: Message): void {
  needPayload("VFIO_USER_MIG_GET_PRECOPY_INFO", message.length, 4);
  const argsz = message.view.getUint32(message.at + PRECOPY_INFO.ARGSZ, true);
  needArgsz("VFIO_USER_MIG_GET_PRECOPY_INFO", argsz, PRECOPY_INFO.BYTES);
  const migration = migrationOf(session);
  session.defer(session.migrationLane, message, async (ticket) => {
    const info = await migration.precopyInfo();
    const { replies } = session;
    replies.send(ticket, writePrecopyInfo(replies.view, replies.at, info));
  });
}
