import { systemClock, type Clock } from "../clock.ts";
import { PCI_IRQ, type DeviceIdentity, type DeviceInfo } from "../device/info.ts";
import type { VfioDevice } from "../device/vfio-device.ts";
import { type DirtySource, joinDirtySources } from "../dirty/sources.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import { silentLogger, type Logger } from "../logger.ts";
import { checkFacets } from "../plugin/check-facets.ts";
import { parseOptions } from "../plugin/options.ts";
import type { SubDriverContext } from "../sub-driver/context.ts";
import type { SubDriverDefinition } from "../sub-driver/definition.ts";
import type { SubDriver } from "../sub-driver/facets.ts";
import { BaseCalls } from "./base-calls.ts";
import { closeInOrder } from "./close-in-order.ts";
import { Composition, type ComposedDevice, type ComposedParts } from "./composed-device.ts";
import { GuestDma } from "./guest-dma.ts";
import { IntendedChanges } from "./intended-changes.ts";
import { Interrupts, type IrqEventFactory } from "./interrupts.ts";
import { LayoutIrq } from "./layout-irq.ts";
import { differWhileSaving, layOut } from "./layouts.ts";
import { DEFAULT_COMPOSE_LIMITS, PluginGuard, type ComposeLimits } from "./plugin-guard.ts";
import { refuseSecondMigration } from "./one-migration.ts";
import type { MemoryAllocator } from "./private-memory.ts";
import { RegionLayouts } from "./region-layouts.ts";
import { RegionRouter } from "./region-router.ts";
import { createContext } from "./sub-driver-context.ts";

export interface ComposeOptions<Options = unknown> {
  /** Options that the definition's schema has validated already. Absent: its defaults. */
  readonly options?: Options;
  /** Facts that a privileged helper granted. */
  readonly facts?: Readonly<Record<string, unknown>>;
  /** `sha512-...` of the sub-driver's package, where the host computed it. */
  readonly integrity?: string | undefined;
  readonly logger?: Logger;
  readonly clock?: Clock;
  readonly limits?: Partial<ComposeLimits>;
  /** Where private memory comes from; default: plain memory, which a model can reach. */
  readonly allocateMemory?: MemoryAllocator;
  /** Events for intercepted vectors; default: plain functions, for a base in this process. */
  readonly createIrqEvent?: IrqEventFactory;
  /** Whom dirty pages are asked of; default: the sub-driver, or else the base. */
  readonly dirtySources?: readonly DirtySource[] | undefined;
}

/**
 * Attaches a sub-driver to a base and gives one device. The device owns the base from then on; where
 * this fails, everything is undone and the base stays the caller's.
 *
 * @throws VfmigError `ERR_VFMIG_SUB_DRIVER_FAILED`, `ERR_VFMIG_SUB_DRIVER_TIMEOUT`,
 * `ERR_VFMIG_SUB_DRIVER_ANSWER`, `ERR_VFMIG_DIRTY_SOURCE`, `ERR_VFMIG_PLUGIN_*` for a sub-driver that is not what it declares
 * @example
 * await using device = await compose(base, subDriver, { options: {} });
 * device.readRegion(PCI_REGION.BAR0, 0, register);
 */
export async function compose<Options>(
  base: VfioDevice,
  definition: SubDriverDefinition<Options>,
  options: ComposeOptions<Options> = {},
): Promise<ComposedDevice> {
  refuseSecondMigration(base, definition);
  const { logger = silentLogger, clock = systemClock, integrity } = options;
  const limits = { ...DEFAULT_COMPOSE_LIMITS, ...options.limits };
  const guard = new PluginGuard(definition.name, clock);
  const interrupts = new Interrupts(base, guard, logger, options.createIrqEvent);
  const calls = new BaseCalls(clock, limits.baseMs);
  const dma = new GuestDma(base, guard, logger, calls, options.allocateMemory);
  /** Set once the facets are known: a sub-driver cannot trap before. */
  let regions: RegionLayouts | undefined;
  const intended = new IntendedChanges();
  const parsed = options.options ?? parseOptions(definition, undefined);
  const { context, end } = createContext({
    base,
    dma,
    interrupts,
    calls,
    regions: lateRegions(() => regions, guard),
    logger,
    clock,
    // Absent only where the definition declares no options, so that there are none to read.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    options: parsed as Options,
    facts: options.facts ?? {},
    intends: (change) => intended.tell(change),
  });
  let subDriver: SubDriver | undefined;
  try {
    const attached = await attach(definition, context, guard, limits);
    subDriver = attached;
    await dma.private.settled();
    checkFacets(definition, attached);
    checkIrqs(base, attached, guard);
    const identity = identify(base.info.identity, definition, integrity);
    const laidOut = layOutDevice(base, attached, identity, guard, clock, limits);
    regions = laidOut.layouts;
    const device = new Composition({
      base,
      definition,
      subDriver: attached,
      dirtyTracking: joinDirtySources(attached.dirtyTracking, base, options.dirtySources),
      ...laidOut,
      dma,
      interrupts,
      calls,
      guard,
      limits,
      logger,
      intended,
      endContext: end,
    });
    listenToHost(base, device, attached, interrupts);
    return device;
  } catch (error) {
    await undo(subDriver, interrupts, dma, guard, limits, end).catch((failure: unknown) =>
      logger.error("A sub-driver that could not be attached could not be closed.", { failure }),
    );
    throw error;
  }
}

/** What the composed device shows: its regions as they can be mapped, and its irq indexes. */
function layOutDevice(
  base: VfioDevice,
  subDriver: SubDriver,
  identity: DeviceIdentity,
  guard: PluginGuard,
  clock: Clock,
  limits: ComposeLimits,
): Pick<ComposedParts, "info" | "layouts" | "layoutIrq" | "routers"> {
  const facets = subDriver.regions ?? [];
  const layouts = guard.call("its region facets", () => layOut(base.info, facets, guard));
  const changes = facets.some(({ adjustable }) => adjustable) || differWhileSaving(layouts);
  const irqs = [...base.info.irqs, ...(subDriver.irqs?.irqs ?? [])];
  const layoutIrq = changes ? new LayoutIrq(irqs) : undefined;
  const info: DeviceInfo = {
    ...base.info,
    identity,
    irqs: layoutIrq === undefined ? irqs : [...irqs, layoutIrq.info],
  };
  const routers = base.info.regions.map((region) => {
    const facet = facets.find(({ index }) => index === region.index);
    return facet && new RegionRouter(facet, region, base, guard);
  });
  const { unmapMs } = limits;
  const parts = { info, layouts, routers, irq: layoutIrq, guard, clock, limitMs: unmapMs };
  return { info, layouts: new RegionLayouts(parts), layoutIrq, routers };
}

/** The context's traps, which go to the layouts of a device that is composed only later. */
function lateRegions(
  layouts: () => RegionLayouts | undefined,
  guard: PluginGuard,
): SubDriverContext["regions"] {
  const composed = (): RegionLayouts => {
    const found = layouts();
    if (found !== undefined) return found;
    throw new VfmigError(
      "ERR_VFMIG_TRAP_REQUEST",
      `${guard.layer} cannot trap anything before its attach() has settled.`,
      { layer: guard.layer, details: { errno: "EINVAL" } },
    );
  };
  return {
    trap: async (index, ranges, signal) => await composed().trap(index, ranges, signal),
    untrap: (index, ranges) => composed().untrap(index, ranges),
  };
}

async function attach<Options>(
  definition: SubDriverDefinition<Options>,
  context: SubDriverContext<Options>,
  guard: PluginGuard,
  limits: ComposeLimits,
): Promise<SubDriver> {
  let late = false;
  try {
    const answer = await guard.settle("attach()", limits.arcMs, async () => {
      const attached = await definition.attach(context);
      if (late) await attached?.close?.();
      return attached;
    });
    const given: unknown = answer;
    if (typeof given === "object" && given !== null) return answer;
    throw guard.nonsense("attach()", given, "a sub-driver");
  } finally {
    late = true;
  }
}

function undo(
  subDriver: SubDriver | undefined,
  interrupts: Interrupts,
  dma: GuestDma,
  guard: PluginGuard,
  limits: ComposeLimits,
  end: () => void,
): Promise<void> {
  return closeInOrder([
    ["irqs", () => interrupts.close()],
    ["sub-driver", () => guard.settle("close()", limits.callMs, () => subDriver?.close?.())],
    ["private memory", () => dma.private.close()],
    ["context", end],
  ]);
}

/** Extra irq indexes follow those of the base, and are of one direction: nothing to mask. */
function checkIrqs(base: VfioDevice, { irqs }: SubDriver, guard: PluginGuard): void {
  if (irqs === undefined) return;
  if (typeof irqs.set !== "function" || !Array.isArray(irqs.irqs)) {
    throw guard.nonsense("its irq facet", irqs, "a facet with irqs and set()");
  }
  const first = base.info.irqs.length;
  for (const [i, info] of irqs.irqs.entries()) {
    const sound = info.index === first + i && Number.isSafeInteger(info.count) && info.count > 0;
    if (sound && !info.maskable) continue;
    throw guard.nonsense(
      `irq ${i} of its irq facet`,
      info.index,
      `index ${first + i}, with at least one vector and not maskable`,
    );
  }
}

function identify(
  base: DeviceIdentity,
  definition: SubDriverDefinition,
  integrity: string | undefined,
): DeviceIdentity {
  const { name, version, standsFor } = definition;
  const privileges = definition.privileges.map(({ kind, what }) => `${kind}: ${what}`);
  const driver = { name, version, integrity, privileges };
  return { ...base, driver: standsFor === undefined ? driver : { ...driver, standsFor } };
}

/** The kernel's REQ interrupt tells the sub-driver first, and then the user. */
function listenToHost(
  base: VfioDevice,
  device: ComposedDevice,
  subDriver: SubDriver,
  interrupts: Interrupts,
): void {
  const request = base.info.irqs[PCI_IRQ.REQ];
  if (subDriver.hostRequest === undefined || !base.info.pci) return;
  if (request === undefined || request.count === 0 || request.maskable) return;
  let count = 0;
  const interception = interrupts.intercept(PCI_IRQ.REQ, 0, () => {
    count += 1;
    try {
      device.hostRequest(count);
    } finally {
      interception.signalGuest();
    }
  });
}
