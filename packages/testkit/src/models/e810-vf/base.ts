import { defineBase, type BaseContext, type BaseDefinition, type VfioDevice } from "@vfmig/core";
import { openDeviceWire } from "../../wire/open-wire.ts";
import { withWire, type WithWire } from "../../wire/wire-options.ts";
import { MODEL_BASE } from "../intel-vf/vf-device.ts";
import { createE810VfModel } from "./e810-vf-model.ts";
import { e810VfOptions, type E810VfOptions } from "./options.ts";

/**
 * The model as a base for a configuration's device. Its option `wire` says where its frames go; by
 * default a scenario's wire connects to `<device>.wire` in the run's folder.
 *
 * @throws VfmigError `ERR_VFMIG_WIRE_PORT` where that wire cannot be opened
 */
async function open(context: BaseContext<WithWire<E810VfOptions>>): Promise<VfioDevice> {
  const { device, logger, clock } = context;
  const { wire, ...options } = context.options;
  const port = await openDeviceWire(wire, context);
  const model = createE810VfModel({ name: device, ...options, port, clock, logger });
  return model.device;
}

const base: BaseDefinition<WithWire<E810VfOptions>> = defineBase({
  ...MODEL_BASE,
  // Typed by its output: a configuration may leave out what has a default.
  options: withWire(e810VfOptions),
  open,
});

export default base;
