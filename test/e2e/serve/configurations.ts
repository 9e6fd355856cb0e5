/** One device's entry in a configuration file. */
export interface DeviceEntry {
  readonly name: string;
  readonly base: { readonly package: string; readonly options: Readonly<Record<string, unknown>> };
  readonly driver?: { readonly package: string };
  readonly standby?: boolean;
}

/** A kind of device that the stages run against, with or without a plugin over it. */
export interface Model {
  /** In the names of cases. */
  readonly name: string;
  readonly pci: {
    readonly vendor: number;
    readonly device: number;
    readonly bar0: number;
    readonly bar3: number;
    readonly vectors: number;
  };
  readonly package: string;
  /** What two such devices of one host differ in, besides their MAC addresses. */
  readonly options: readonly [Readonly<Record<string, unknown>>, Readonly<Record<string, unknown>>];
  readonly plugin?: string;
}

const I40E_VF = {
  pci: { vendor: 0x8086, device: 0x154c, bar0: 0x1_0000, bar3: 0x4000, vectors: 5 },
  package: "@vfmig/testkit/i40e-vf-model",
  options: [{ vsiId: 18 }, { vsiId: 525 }],
} as const;

const E810_VF = {
  pci: { vendor: 0x8086, device: 0x1889, bar0: 0x2_0000, bar3: 0x4000, vectors: 17 },
  package: "@vfmig/testkit/e810-vf-model",
  options: [{}, {}],
} as const;

/** Every stage runs its cases over each of these. */
export const MODELS: readonly Model[] = [
  { name: "154c", ...I40E_VF },
  { name: "154c+plugin", ...I40E_VF, plugin: "@vfmig/plugin-i40e" },
  { name: "1889", ...E810_VF },
];

/** Devices that can be moved, of either family. */
export const MOVABLE: readonly Model[] = [
  { name: "154c+plugin", ...I40E_VF, plugin: "@vfmig/plugin-i40e" },
  { name: "1889+plugin", ...E810_VF, plugin: "@vfmig/plugin-e810" },
];

/** The entry of the first or second device of a kind; `more` goes to the model as well. */
export function entry(
  model: Model,
  which: 0 | 1,
  name: string,
  more: Readonly<Record<string, unknown>>,
): DeviceEntry {
  const options = { ...model.options[which], ...more };
  const base = { package: model.package, options };
  return { name, base, ...(model.plugin !== undefined && { driver: { package: model.plugin } }) };
}
