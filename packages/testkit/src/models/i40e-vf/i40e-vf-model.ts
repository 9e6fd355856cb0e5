import {
  createVfModel,
  type VfControl,
  type VfModel,
  type VfModelContext,
  type VfTruth,
} from "../intel-vf/create-vf-model.ts";
import { i40eVfOptions, type I40eVfOptionsInput } from "./options.ts";
import { i40eProfile } from "./profile.ts";

export interface CreateI40eVfModelOptions extends I40eVfOptionsInput, VfModelContext {}

/** What is true of a model. For tests. */
export type I40eVfTruth = VfTruth;

/** The host's hand on the PF. */
export type I40eVfControl = VfControl;

export type I40eVfModel = VfModel;

/**
 * A model of an Intel 700-series VF (8086:154c) together with its PF driver. Plain hardware: no
 * migration, no log of writes, no mappable region, and no way to read or set a queue's head.
 *
 * @throws VfmigError `ERR_VFMIG_MODEL_OPTIONS`
 *
 * @example
 * const { device } = createI40eVfModel({
 *   name: "vf0", mac: "02:00:00:00:00:0a", vsiId: 7, port, clock: systemClock, logger: silentLogger,
 * });
 */
export function createI40eVfModel(options: CreateI40eVfModelOptions): I40eVfModel {
  const { name, port, clock, logger, ...rest } = options;
  const context: VfModelContext = {
    name,
    port,
    ...(clock === undefined ? {} : { clock }),
    ...(logger === undefined ? {} : { logger }),
  };
  return createVfModel(i40eProfile, i40eVfOptions, context, rest);
}
