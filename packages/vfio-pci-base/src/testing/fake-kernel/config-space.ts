/** What config space of a fake function says. */
export interface ConfigSettings {
  readonly vendor: number;
  readonly device: number;
  readonly subsystemVendor?: number;
  readonly subsystemDevice?: number;
  readonly revision?: number;
  /** Where the MSI-X table stands; absent: no such capability. */
  readonly msix?: { readonly region: number; readonly offset: number; readonly vectors: number };
}

/** 4 KiB of config space with a capability list. */
export function configSpace(settings: ConfigSettings): Uint8Array {
  const bytes = new Uint8Array(4096);
  const view = new DataView(bytes.buffer);
  view.setUint16(0x00, settings.vendor, true);
  view.setUint16(0x02, settings.device, true);
  view.setUint8(0x08, settings.revision ?? 1);
  view.setUint16(0x2c, settings.subsystemVendor ?? settings.vendor, true);
  view.setUint16(0x2e, settings.subsystemDevice ?? settings.device, true);
  const { msix } = settings;
  if (msix === undefined) return bytes;
  view.setUint16(0x06, 0x10, true);
  view.setUint8(0x34, 0x40);
  // A power management capability comes first, so that the list has to be walked.
  view.setUint8(0x40, 0x01);
  view.setUint8(0x41, 0x70);
  view.setUint8(0x70, 0x11);
  view.setUint16(0x72, msix.vectors - 1, true);
  view.setUint32(0x74, msix.offset | msix.region, true);
  return bytes;
}
