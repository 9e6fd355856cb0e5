import { PCI_IRQ, type DeviceInfo } from "../device/info.ts";
import type { BaseAccess, Interception, SubDriverContext } from "./context.ts";
import type { SubDriverDefinition } from "./definition.ts";
import type { RegionFacet, RegionRange, SubDriver } from "./facets.ts";

/** What a transparent sub-driver stands in front of. */
export interface Interposition {
  /** Ranges by region. */
  readonly regions: readonly { readonly index: number; readonly ranges: readonly RegionRange[] }[];
}

/**
 * A sub-driver that passes everything through, for the devices of `definition` and in its place: the same
 * accesses and interrupts go through core's `compose`, and nothing of the plugin runs. What differs between
 * it and the base is core's doing, what differs between it and the plugin is the plugin's.
 *
 * It gives no migration and no dirty log, since those would be claims.
 *
 * @param interposed - ranges that the plugin is known to take over; default: all of every region
 * @example
 * await using device = await compose(base, transparentSubDriver(i40eVf));
 */
export function transparentSubDriver(
  definition: SubDriverDefinition,
  interposed?: Interposition,
): SubDriverDefinition {
  const { apiVersion, matches, name, version } = definition;
  return {
    name: "transparent",
    version,
    apiVersion,
    matches,
    privileges: [],
    capabilities: {},
    standsFor: { name, version },
    attach: (context) => attach(context, interposed),
  };
}

function attach(context: SubDriverContext, interposed: Interposition | undefined): SubDriver {
  const { base } = context;
  const regions = (interposed?.regions ?? everything(base.info))
    .filter(({ ranges }) => ranges.length > 0)
    .map(({ index, ranges }) => passThrough(base, index, ranges));
  const held = interceptAll(context);
  return {
    regions,
    status: () => ({
      trapped: regions.flatMap(({ index, trapped }) =>
        trapped.map((range) => ({ region: index, ...range })),
      ),
    }),
    close: async () => {
      for (const interception of held) interception.release();
    },
  };
}

function everything(info: DeviceInfo): Interposition["regions"] {
  return info.regions
    .filter(({ size }) => size > 0)
    .map(({ index, size }) => ({ index, ranges: [{ offset: 0, size }] }));
}

function passThrough(
  base: BaseAccess,
  index: number,
  trapped: readonly RegionRange[],
): RegionFacet {
  return {
    index,
    trapped,
    read: (offset, into) => base.readRegion(index, offset, into),
    write: (offset, from) => base.writeRegion(index, offset, from),
  };
}

/** Each vector of the index that carries a device's own interrupts. */
function interceptAll({ base, interrupts }: SubDriverContext): readonly Interception[] {
  const held: Interception[] = [];
  if (!base.info.pci) return held;
  const count = base.info.irqs[PCI_IRQ.MSIX]?.count ?? 0;
  for (let vector = 0; vector < count; vector++) {
    const interception = interrupts.intercept(PCI_IRQ.MSIX, vector, () =>
      interception.signalGuest(),
    );
    held.push(interception);
  }
  return held;
}
