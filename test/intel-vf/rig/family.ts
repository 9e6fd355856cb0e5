import type { SubDriverDefinition } from "@vfmig/core";
import { BAR0_SIZE_700, BAR0_SIZE_E810 } from "@vfmig/iavf";
import type { VfOptions } from "@vfmig/iavf/vf";
import e810Vf from "@vfmig/plugin-e810";
import i40eVf from "@vfmig/plugin-i40e";
import {
  createE810VfModel,
  createI40eVfModel,
  type CreateE810VfModelOptions,
  type CreateI40eVfModelOptions,
  type I40eVfModel,
} from "@vfmig/testkit";

/** Options of either model; those that only one has are left out for the other. */
export type ModelOptions = Partial<CreateI40eVfModelOptions> &
  Partial<Pick<CreateE810VfModelOptions, "doubleVlan" | "qos">>;

type Filled = ModelOptions & Pick<CreateI40eVfModelOptions, "name" | "mac" | "port">;

/** What a suite needs of one kind of VF to run on it. */
export interface Family {
  readonly name: "i40e" | "e810";
  readonly plugin: SubDriverDefinition<VfOptions>;
  readonly bar0Size: number;
  /** VSI ids of the two hosts; ice gives the same everywhere. */
  readonly vsiIds: readonly [number, number];
  createModel(options: Filled): I40eVfModel;
}

export const I40E: Family = {
  name: "i40e",
  plugin: i40eVf,
  bar0Size: BAR0_SIZE_700,
  vsiIds: [7, 9],
  createModel({ doubleVlan: _double, qos: _qos, ...options }) {
    return createI40eVfModel({ vsiId: 7, ...options });
  },
};

export const E810: Family = {
  name: "e810",
  plugin: e810Vf,
  bar0Size: BAR0_SIZE_E810,
  vsiIds: [1, 1],
  createModel({ vsiId: _vsi, ...options }) {
    return createE810VfModel({ queuePairs: 4, vectors: 5, ...options });
  },
};

export const FAMILIES: readonly Family[] = [I40E, E810];
