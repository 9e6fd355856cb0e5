import { COMMAND } from "../codec/commands.ts";

/** What is done with one command. */
export interface CommandSupport {
  readonly number: number;
  readonly name: string;
  readonly server: string;
  readonly client: string;
}

/** Every command of the specification, and what server and client of this package do with it. */
export const COMMAND_SUPPORT: readonly CommandSupport[] = [
  row(1, "VERSION", "0.0 and 0.1, all capabilities", "the same"),
  row(2, "DMA_MAP", "with fd, or reached by messages", "the same (`sendFd: false`)"),
  row(3, "DMA_UNMAP", "one, all, with dirty pages", "`unmapDma`, `unmapAllDma`"),
  row(4, "DEVICE_GET_INFO", "yes", "at the start"),
  row(5, "DEVICE_GET_REGION_INFO", "sparse areas with fd, types", "the same"),
  row(6, "DEVICE_GET_REGION_IO_FDS", "what `ioFds` gives, else EOPNOTSUPP", "`regionIoFds`"),
  row(7, "DEVICE_GET_IRQ_INFO", "yes; types with `vfmig.layout`", "at the start"),
  row(8, "DEVICE_SET_IRQS", "every form", "`setIrqs`, in batches of the server's `max_msg_fds`"),
  row(9, "REGION_READ", "yes", "`readRegion`, larger ones in pieces"),
  row(10, "REGION_WRITE", "yes, posted too", "`writeRegion`, posted in the synchronous view"),
  row(11, "DMA_READ", "asked of the client", "answered from mapped memory"),
  row(12, "DMA_WRITE", "asked of the client", "answered from mapped memory"),
  row(13, "DEVICE_RESET", "yes, also while a state change runs", "`reset`"),
  row(14, "DIRTY_PAGES (retired)", "ENOSYS", "no"),
  row(15, "REGION_WRITE_MULTI", "with `writeMultiple`", "`writeRegions`, with `writeMultiple`"),
  row(16, "DEVICE_FEATURE", "1, 2, 6 to 9: get, set, probe", "the same"),
  row(17, "MIG_DATA_READ", "yes", "`migration.readData`"),
  row(18, "MIG_DATA_WRITE", "yes", "`migration.writeData`"),
  row(19, "MIG_GET_PRECOPY_INFO (QEMU's branch)", "yes", "`migration.precopyInfo`"),
  row(
    COMMAND.REGION_UNMAPPED,
    "REGION_UNMAPPED (our own)",
    "with `vfmig.layout`, else ENOSYS",
    "`releaseRegion`, and when a layout changes",
  ),
];

function row(number: number, name: string, server: string, client: string): CommandSupport {
  return { number, name, server, client };
}
