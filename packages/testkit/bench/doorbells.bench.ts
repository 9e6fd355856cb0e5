/**
 * What it saves that a guest rings its queues by itself, and what it costs to take that back: accesses
 * of BAR0 that a process has to serve for each frame, and the time of a frame, with doorbells `trapped`
 * and `direct`, in turn in the same run, beside the floor, the guest on the bare model. Then the time
 * from a guest that has its queues' registers mapped to all pairs on private rings, of which the
 * mappings' end is a part, beside the same with doorbells that were trapped.
 *
 * Everything runs in this process: a message costs here what a call costs. Over a socket each costs what
 * the README of @vfmig/vfio-user says, on top of the figures for `trapped`.
 *
 * Run: node packages/testkit/bench/doorbells.bench.ts [--json] [--rounds=N] [--frames=N]
 *   [--models=i40e,e810] [--queues=1,4,16] [--user-ms=N]
 */
import {
  type Clock,
  type ComposedDevice,
  PCI_REGION,
  systemClock,
  type VfioDevice,
} from "@vfmig/core";
import {
  createManualClock,
  createMappingUser,
  type LoosePort,
  type MappingUser,
  settle,
  type VirtchnlGuestDriver,
  withMappableRegions,
} from "@vfmig/testkit";
import { machine, quantile } from "./figures.ts";
import { benchOptions } from "./options.ts";
import { composeVf, createGuest, createVf, FRAMES, isDirect, until } from "./vf-parts.ts";

const options = benchOptions({
  rounds: 7,
  frames: 20_000,
  models: ["i40e", "e810"],
  queues: [1, 4, 16],
  "user-ms": 0,
});
const { rounds, frames } = options;
/** Milliseconds that a user takes to let go of its mappings; 0: its next turn. */
const USER_MS = options["user-ms"];

/** Frames each way between two looks of the guest. */
const BURST = 16;

type Way = "trapped" | "direct" | "bare";

interface Guest {
  readonly driver: VirtchnlGuestDriver;
  readonly port: LoosePort;
  readonly user: MappingUser;
  readonly device: VfioDevice;
}

async function guestOn(model: string, queues: number, way: Way, clock: Clock): Promise<Guest> {
  const { device: hardware, port } = createVf(model, queues, clock);
  const base = withMappableRegions(hardware, [PCI_REGION.BAR0]);
  const device =
    way === "bare" ? hardware : await composeVf(base, model, clock, { doorbells: way });
  const manners = USER_MS > 0 ? "late" : "prompt";
  const user = createMappingUser({ device, hardware, clock, manners, lateMs: USER_MS });
  const driver = await createGuest(user, queues, clock);
  return { driver, port, user, device };
}

/** Frames each way, at moments of the clock that `pass` chooses. */
function burst({ driver, port }: Guest, from: number): void {
  for (let n = from; n < from + BURST; n++) {
    const frame = FRAMES[n % FRAMES.length];
    if (frame !== undefined) {
      port.deliver(frame);
      driver.send(frame);
    }
  }
  port.sent.length = 0;
}

interface FrameRow {
  readonly model: string;
  readonly queues: number;
  readonly doorbells: Way;
  /** Accesses of BAR0 for each frame, that a process served or that went past it. */
  readonly served: number;
  readonly past: number;
  /** Microseconds of model, plugin and guest for each frame. */
  readonly frameUs: number;
  readonly frameUsLeast: number;
  readonly frameUsMost: number;
}

async function perFrame(model: string, queues: number): Promise<FrameRow[]> {
  const worlds = [];
  for (const way of ["bare", "trapped", "direct"] as const) {
    const clock = createManualClock();
    // oxlint-disable-next-line no-await-in-loop -- one guest after the other
    const guest = await guestOn(model, queues, way, clock);
    // oxlint-disable-next-line no-await-in-loop -- one guest after the other
    await settle(clock, guest.driver.start());
    // Until the device has shown its tails, and every piece of code is warm.
    for (let n = 0; n < frames; n += BURST) {
      burst(guest, n);
      clock.advance(0.5);
    }
    const mapped = guest.user.mapped(PCI_REGION.BAR0).length > 0;
    if (mapped !== (way === "direct")) throw new Error(`${model} ${way}: mapped is ${mapped}`);
    worlds.push({ way, clock, guest, samples: [] as number[], served: 0, past: 0 });
  }
  for (let round = 0; round < rounds; round++) {
    for (const world of worlds) {
      const { guest, clock } = world;
      guest.user.clearCounts();
      const began = performance.now();
      for (let n = 0; n < frames; n += BURST) {
        burst(guest, n);
        clock.advance(0.5);
      }
      world.samples.push(((performance.now() - began) * 1000) / (2 * frames));
      world.served = guest.user.messages(PCI_REGION.BAR0) / (2 * frames);
      world.past = guest.user.direct / (2 * frames);
    }
  }
  for (const { guest, clock } of worlds) {
    guest.driver.pause();
    // oxlint-disable-next-line no-await-in-loop -- one guest after the other
    await settle(clock, guest.user[Symbol.asyncDispose]());
  }
  return worlds.map(({ way, samples, served, past }) => ({
    model,
    queues,
    doorbells: way,
    served,
    past,
    frameUs: quantile(samples, 0.5),
    frameUsLeast: quantile(samples, 0),
    frameUsMost: quantile(samples, 1),
  }));
}

interface EnterRow {
  readonly model: string;
  readonly queues: number;
  /** Milliseconds until users had let go, and until every pair was on private rings; medians, most. */
  readonly letGoMs: number;
  readonly directMs: number;
  readonly directMost: number;
  /** The same all in all, with doorbells that were trapped. */
  readonly trappedMs: number;
  readonly trappedMost: number;
}

interface Entered {
  readonly letGo: number[];
  readonly all: number[];
}

async function entering(model: string, queues: number): Promise<EnterRow> {
  const found: Record<"direct" | "trapped", Entered> = {
    direct: { letGo: [], all: [] },
    trapped: { letGo: [], all: [] },
  };
  for (const way of ["direct", "trapped"] as const) {
    // oxlint-disable-next-line no-await-in-loop -- one guest after the other
    const guest = await guestOn(model, queues, way, systemClock);
    // oxlint-disable-next-line no-await-in-loop -- one guest after the other
    await guest.driver.start();
    let n = 0;
    const traffic = setInterval(() => burst(guest, (n += BURST)), 2);
    for (let round = 0; round < rounds; round++) {
      // oxlint-disable-next-line no-await-in-loop -- one round after the other
      await enterOnce(guest, way, found[way]);
    }
    clearInterval(traffic);
    guest.driver.pause();
    // oxlint-disable-next-line no-await-in-loop -- one guest after the other
    await guest.user[Symbol.asyncDispose]();
  }
  const { direct, trapped } = found;
  return {
    model,
    queues,
    letGoMs: quantile(direct.letGo, 0.5),
    directMs: quantile(direct.all, 0.5),
    directMost: quantile(direct.all, 1),
    trappedMs: quantile(trapped.all, 0.5),
    trappedMost: quantile(trapped.all, 1),
  };
}

async function enterOnce(guest: Guest, way: "direct" | "trapped", into: Entered): Promise<void> {
  const { device, user } = guest;
  const mapped = (): boolean => user.mapped(PCI_REGION.BAR0).length > 0;
  const ready = (): boolean => (way === "direct" ? mapped() : isDirect(device as ComposedDevice));
  if (!(await until(ready, 60_000))) throw new Error("the guest never had its queues back");
  const began = performance.now();
  const started = device.dmaLogging?.start({ pageSize: 4096, ranges: [] });
  if (way === "direct") {
    await until(() => !mapped(), 10_000);
    into.letGo.push(performance.now() - began);
  }
  await started;
  into.all.push(performance.now() - began);
  await device.dmaLogging?.stop();
}

const perFrameRows: FrameRow[] = [];
const enterRows: EnterRow[] = [];
for (const model of options.models) {
  for (const queues of options.queues) {
    // oxlint-disable-next-line no-await-in-loop -- one world at a time
    perFrameRows.push(...(await perFrame(model, queues)));
    // oxlint-disable-next-line no-await-in-loop -- one world at a time
    enterRows.push(await entering(model, queues));
  }
}

if (options.json) {
  const result = { benchmark: "doorbells", machine: machine(), rounds, frames, userMs: USER_MS };
  console.log(JSON.stringify({ ...result, perFrame: perFrameRows, entering: enterRows }));
} else {
  console.log(`${frames} frames each way; medians of ${rounds} rounds`);
  console.log("model queues  doorbells  served a frame  past a frame   us a frame (least, most)");
  for (const row of perFrameRows) {
    console.log(
      `${row.model.padEnd(6)}${String(row.queues).padStart(6)}  ${row.doorbells.padEnd(9)}` +
        `${row.served.toFixed(3).padStart(16)}${row.past.toFixed(3).padStart(14)}` +
        `${row.frameUs.toFixed(2).padStart(13)} (${row.frameUsLeast.toFixed(2)}, ${row.frameUsMost.toFixed(2)})`,
    );
  }
  console.log(
    "model queues  users let go, ms   all relayed from direct (most)   from trapped (most)",
  );
  for (const row of enterRows) {
    console.log(
      `${row.model.padEnd(6)}${String(row.queues).padStart(6)}${row.letGoMs.toFixed(2).padStart(19)}` +
        `${row.directMs.toFixed(2).padStart(26)} (${row.directMost.toFixed(1)})` +
        `${row.trappedMs.toFixed(2).padStart(15)} (${row.trappedMost.toFixed(1)})`,
    );
  }
}
