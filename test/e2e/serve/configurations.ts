/** One device's entry in a configuration file. */
export interface DeviceEntry {
  readonly name: string;
  readonly base: { readonly package: string; readonly options: Readonly<Record<string, unknown>> };
  readonly driver?: { readonly package: string };
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
  readonly plugin?: string;
}

const I40E_VF = {
  pci: { vendor: 0x8086, device: 0x154c, bar0: 0x1_0000, bar3: 0x4000, vectors: 5 },
  package: "@vfmig/testkit/i40e-vf-model",
} as const;

/** Every stage runs its cases over each of these. */
export const MODELS: readonly Model[] = [
  { name: "154c", ...I40E_VF },
  { name: "154c+plugin", ...I40E_VF, plugin: "@vfmig/plugin-i40e" },
];

/** The entry of one device; `options` go to the model. */
export function entry(
  model: Model,
  name: string,
  options: Readonly<Record<string, unknown>>,
): DeviceEntry {
  const base = { package: model.package, options };
  return { name, base, ...(model.plugin !== undefined && { driver: { package: model.plugin } }) };
}
