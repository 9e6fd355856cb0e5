import { refusal } from "../../codec/errno.ts";
import { readRegionUnmapped } from "../../codec/region-unmapped.ts";
import type { Message } from "../../transport/message.ts";
import type { Session } from "../session.ts";

/**
 * `REGION_UNMAPPED`: the client's word that it has let go of areas. A client that breaks it bypasses what
 * its own device traps, and nobody else's.
 */
export function regionUnmapped(session: Session, message: Message): void {
  if (!session.negotiated.layouts) {
    throw refusal("ENOSYS", "REGION_UNMAPPED was not negotiated (vfmig.layout)");
  }
  const { view, at, length } = message;
  const { pageSize } = session.settings.io;
  const { region, areas } = readRegionUnmapped(view, at, length, pageSize);
  const info = session.device.info.regions[region];
  const end = areas?.at(-1);
  if (info === undefined || (end !== undefined && end.offset + end.size > info.size)) {
    throw refusal("EINVAL", `REGION_UNMAPPED: no such areas in region ${region}`, { region });
  }
  session.regionMappings.release(region, areas);
  session.replies.send(message, 0);
}
