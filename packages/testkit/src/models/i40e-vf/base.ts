import { join } from "node:path";
import { defineBase, type BaseContext, type BaseDefinition, type VfioDevice } from "@vfmig/core";
import { listenWirePort } from "../../wire/socket-port.ts";
import { MODEL_BASE } from "./i40e-vf-device.ts";
import { createI40eVfModel } from "./i40e-vf-model.ts";
import { i40eVfOptions, type I40eVfOptions } from "./options.ts";

/**
 * The model as a base for a configuration's device. Its wire connects to `<device>.wire` in the run's
 * folder.
 *
 * @throws VfmigError `ERR_VFMIG_WIRE_PORT` where that socket cannot be opened
 */
async function open(context: BaseContext<I40eVfOptions>): Promise<VfioDevice> {
  const { device, options, logger, clock, runtimeFolder } = context;
  const port = await listenWirePort(join(runtimeFolder, `${device}.wire`), {
    clock,
    onError: (error) => logger.warn("the wire broke its protocol", { error: String(error) }),
  });
  const model = createI40eVfModel({ name: device, ...options, port, clock, logger });
  return model.device;
}

const base: BaseDefinition<I40eVfOptions> = defineBase({
  ...MODEL_BASE,
  // Typed by its output: a configuration may leave out what has a default.
  options: i40eVfOptions,
  open,
});

export default base;
