import { defineBase, type BaseContext, type BaseDefinition, type VfioDevice } from "@vfmig/core";
import { openDeviceWire } from "../../wire/open-wire.ts";
import { withWire, type WithWire } from "../../wire/wire-options.ts";
import { MODEL_BASE } from "../intel-vf/vf-device.ts";
import { createI40eVfModel } from "./i40e-vf-model.ts";
import { i40eVfOptions, type I40eVfOptions } from "./options.ts";

/**
 * The model as a base for a configuration's device. Its option `wire` says where its frames go; by
 * default a scenario's wire connects to `<device>.wire` in the run's folder.
 *
 * @throws VfmigError `ERR_VFMIG_WIRE_PORT` where that wire cannot be opened
 */
async function open(context: BaseContext<WithWire<I40eVfOptions>>): Promise<VfioDevice> {
  const { device, logger, clock } = context;
  const { wire, ...options } = context.options;
  const port = await openDeviceWire(wire, context);
  const model = createI40eVfModel({ name: device, ...options, port, clock, logger });
  return model.device;
}

const base: BaseDefinition<WithWire<I40eVfOptions>> = defineBase({
  ...MODEL_BASE,
  // Typed by its output: a configuration may leave out what has a default.
  options: withWire(i40eVfOptions),
  open,
});

export default base;
