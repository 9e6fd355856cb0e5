import { COMMAND } from "../../codec/commands.ts";
import type { Message } from "../../transport/message.ts";
import type { Session } from "../session.ts";
import { dmaMap, dmaUnmap } from "./dma.ts";
import { deviceFeature } from "./feature.ts";
import { deviceInfo, irqInfo, regionInfo } from "./info.ts";
import { setIrqs } from "./irqs.ts";
import { migDataRead, migDataWrite, precopyInfo } from "./migration-data.ts";
import { regionIoFds } from "./region-io-fds.ts";
import { regionUnmapped } from "./region-unmapped.ts";
import { regionRead, regionWrite } from "./region.ts";
import { deviceReset } from "./reset.ts";
import { regionWriteMulti } from "./write-multi.ts";

/**
 * Serves one message: replies, or defers its work to a lane, or throws the error to answer with. Must
 * not keep the message.
 */
export type Handler = (session: Session, message: Message) => void;

/** What serves a command; undefined where nothing does, which is answered with ENOSYS. */
export function handlerOf(command: number): Handler | undefined {
  // The one command far away from the others would make a sparse list of the table.
  return handlers[command] ?? (command === COMMAND.REGION_UNMAPPED ? regionUnmapped : undefined);
}

/** By command. */
const handlers: readonly (Handler | undefined)[] = table();

function table(): (Handler | undefined)[] {
  const list: (Handler | undefined)[] = Array.from({ length: 20 });
  list[COMMAND.DMA_MAP] = dmaMap;
  list[COMMAND.DMA_UNMAP] = dmaUnmap;
  list[COMMAND.DEVICE_GET_INFO] = deviceInfo;
  list[COMMAND.DEVICE_GET_REGION_INFO] = regionInfo;
  list[COMMAND.DEVICE_GET_REGION_IO_FDS] = regionIoFds;
  list[COMMAND.DEVICE_GET_IRQ_INFO] = irqInfo;
  list[COMMAND.DEVICE_SET_IRQS] = setIrqs;
  list[COMMAND.REGION_READ] = regionRead;
  list[COMMAND.REGION_WRITE] = regionWrite;
  list[COMMAND.DEVICE_RESET] = deviceReset;
  list[COMMAND.REGION_WRITE_MULTI] = regionWriteMulti;
  list[COMMAND.DEVICE_FEATURE] = deviceFeature;
  list[COMMAND.MIG_DATA_READ] = migDataRead;
  list[COMMAND.MIG_DATA_WRITE] = migDataWrite;
  list[COMMAND.MIG_GET_PRECOPY_INFO] = precopyInfo;
  return list;
}
