import { z } from "zod";
import type { DeviceIdentity } from "../device/info.ts";
import type { DeviceDescription } from "../sub-driver/description.ts";

/** What the first record of a device state says. */
export interface StateHeader {
  /** The driver that wrote the state. */
  readonly driver: { readonly name: string; readonly version: string };
  /** The plugin's own version of the state, 1 to 65,535. */
  readonly stateVersion: number;
  /** The device that was saved. */
  readonly device: DeviceIdentity;
  /** What the device was and used; a target must offer what `uses` names. */
  readonly description: DeviceDescription;
}

const text = z.string().max(1024);
const u16 = z.int().min(0).max(0xffff);
const version = z.int().min(1).max(0xffff);
const nameAndVersion = z.strictObject({ name: text.min(1), version: text });

const identity = z.strictObject({
  device: text,
  base: nameAndVersion,
  driver: z
    .strictObject({
      name: text.min(1),
      version: text,
      integrity: text.optional(),
      privileges: z.array(text).max(256),
      standsFor: nameAndVersion.optional(),
    })
    .optional(),
  pci: z
    .strictObject({
      vendor: u16,
      device: u16,
      subsystemVendor: u16,
      subsystemDevice: u16,
      revision: z.int().min(0).max(0xff),
    })
    .optional(),
});

/** Shape of a device description, wherever one comes from outside. */
export const deviceDescriptionSchema: z.ZodType<DeviceDescription> = z.strictObject({
  driver: nameAndVersion,
  state: z.strictObject({ version, reads: z.array(version).min(1).max(256) }),
  device: z.strictObject({ vendor: u16, device: u16 }),
  offers: z.record(z.string(), z.unknown()),
  uses: z.record(z.string(), z.unknown()),
});

/** The header's schema; it also refuses a header whose two halves name different drivers or versions. */
export const stateHeaderSchema: z.ZodType<StateHeader> = z
  .strictObject({
    driver: nameAndVersion,
    stateVersion: version,
    device: identity,
    description: deviceDescriptionSchema,
  })
  .refine((header) => header.driver.name === header.description.driver.name, {
    message: "driver and description name different drivers",
    path: ["description", "driver", "name"],
  })
  .refine((header) => header.stateVersion === header.description.state.version, {
    message: "stateVersion and description name different versions",
    path: ["description", "state", "version"],
  });
