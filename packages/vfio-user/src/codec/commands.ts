/** Message commands (vfio-user specification, "Message Commands"). */
export const COMMAND = {
  VERSION: 1,
  DMA_MAP: 2,
  DMA_UNMAP: 3,
  DEVICE_GET_INFO: 4,
  DEVICE_GET_REGION_INFO: 5,
  DEVICE_GET_REGION_IO_FDS: 6,
  DEVICE_GET_IRQ_INFO: 7,
  DEVICE_SET_IRQS: 8,
  REGION_READ: 9,
  REGION_WRITE: 10,
  DMA_READ: 11,
  DMA_WRITE: 12,
  DEVICE_RESET: 13,
  REGION_WRITE_MULTI: 15,
  DEVICE_FEATURE: 16,
  MIG_DATA_READ: 17,
  MIG_DATA_WRITE: 18,
  /** In no specification yet: the number that QEMU's migration branch uses for pre-copy sizes. */
  MIG_GET_PRECOPY_INFO: 19,
  /**
   * This package's own: the client has unmapped areas of a region. Taken where both sides have said
   * `vfmig.layout`; the upper half of the numbers is far from what the specification gives out.
   */
  REGION_UNMAPPED: 0x8001,
} as const;

const names = new Map<number, string>(
  Object.entries(COMMAND).map(([name, value]) => [value, `VFIO_USER_${name}`]),
);

/** The specification's name of a command, for messages to people. */
export function commandName(command: number): string {
  return names.get(command) ?? `command ${command}`;
}
