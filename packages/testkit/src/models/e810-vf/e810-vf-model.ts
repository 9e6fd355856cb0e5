import {
  createVfModel,
  type VfControl,
  type VfModel,
  type VfModelContext,
  type VfTruth,
} from "../intel-vf/create-vf-model.ts";
import { e810VfOptions, type E810VfOptionsInput } from "./options.ts";
import { e810Profile } from "./profile.ts";

export interface CreateE810VfModelOptions extends E810VfOptionsInput, VfModelContext {}

/** What is true of a model. For tests. */
export type E810VfTruth = VfTruth;

/** The host's hand on the PF. */
export type E810VfControl = VfControl;

export type E810VfModel = VfModel;

/**
 * A model of an Intel E810 VF (8086:1889) together with its ice PF. Plain hardware: no migration, no log
 * of writes, no mappable region, and no way to read or set a queue's head.
 *
 * @throws VfmigError `ERR_VFMIG_MODEL_OPTIONS`
 *
 * @example
 * const { device } = createE810VfModel({
 *   name: "vf0", mac: "02:00:00:00:00:0a", port, clock: systemClock, logger: silentLogger,
 * });
 */
export function createE810VfModel(options: CreateE810VfModelOptions): E810VfModel {
  const { name, port, clock, logger, ...rest } = options;
  const context: VfModelContext = {
    name,
    port,
    ...(clock === undefined ? {} : { clock }),
    ...(logger === undefined ? {} : { logger }),
  };
  return createVfModel(e810Profile, e810VfOptions, context, rest);
}
