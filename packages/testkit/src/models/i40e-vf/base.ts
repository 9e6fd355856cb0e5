import { defineBase, type BaseContext, type BaseDefinition, type VfioDevice } from "@vfmig/core";
import { openDeviceWire } from "../../wire/open-wire.ts";
import { MODEL_BASE } from "./i40e-vf-device.ts";
import { createI40eVfModel } from "./i40e-vf-model.ts";
import { i40eVfBaseOptions, type I40eVfBaseOptions } from "./options.ts";

/**
 * The model as a base for a configuration's device. Its option `wire` says where its frames go; by
 * default a scenario's wire connects to `<device>.wire` in the run's folder.
 *
 * @throws VfmigError `ERR_VFMIG_WIRE_PORT` where that wire cannot be opened
 */
async function open(context: BaseContext<I40eVfBaseOptions>): Promise<VfioDevice> {
  const { device, logger, clock } = context;
  const { wire, ...options } = context.options;
  const port = await openDeviceWire(wire, context);
  const model = createI40eVfModel({ name: device, ...options, port, clock, logger });
  return model.device;
}

const base: BaseDefinition<I40eVfBaseOptions> = defineBase({
  ...MODEL_BASE,
  // Typed by its output: a configuration may leave out what has a default.
  options: i40eVfBaseOptions,
  open,
});

export default base;
