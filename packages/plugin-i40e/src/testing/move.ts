import { PAGE, RAM_IOVA, type World } from "./world.ts";

export interface MoveResult {
  readonly state: Uint8Array;
  readonly dirty: ReadonlySet<number>;
  /** Pages that the device itself wrote while its writes were logged, as the model knows. */
  readonly truth: ReadonlySet<number>;
  readonly ringIndices: unknown;
}

/**
 * Moves the guest's device to another host as a VMM would: memory ahead, stop, what is dirty, state,
 * run. The memory that is left behind is spoilt.
 */
export async function move(world: World, to: number, blackout = 3): Promise<MoveResult> {
  const source = world.host;
  const target = world.hosts[to]!;
  const logging = source.device.dmaLogging!;
  const from = source.device.migration!;
  const into = target.device.migration!;
  const range = { iova: RAM_IOVA, size: BigInt(source.ram.length) };
  source.model.truth.clearWrittenPages();
  await world.settle(logging.start({ pageSize: PAGE, ranges: [range] }));
  world.driver.takeWrittenPages();
  target.ram.set(source.ram);
  world.traffic(20);

  await world.settle(into.setState("resuming"));
  world.driver.pause();
  await world.settle(from.setState("stop"));
  for (let n = 0; n < blackout; n++) {
    world.frame();
  }
  const bitmap = new Uint8Array(source.ram.length / PAGE / 8);
  await world.settle(logging.report(range, PAGE, bitmap));
  const dirty = pagesOf(bitmap);
  const truth = guestPages(source.model.truth.writtenPages(), source.ram.length);
  for (const page of [...dirty, ...world.driver.takeWrittenPages()]) {
    target.ram.set(source.ram.subarray(page * PAGE, (page + 1) * PAGE), page * PAGE);
  }
  await world.settle(from.setState("stop-copy"));
  const state = await readAll(world);
  for (let at = 0; at < state.length; at += 1000) {
    // oxlint-disable-next-line no-await-in-loop -- a stream
    await world.settle(into.writeData(state.subarray(at, at + 1000)));
  }
  const { ringIndices } = source.device.driverStatus();
  // What the VMM itself moves: memory, interrupts and config space.
  world.driver.rebind({ device: target.device, memory: target.ram });
  await world.settle(into.setState("running"));
  world.at = to;
  world.driver.resume();
  await world.settle(logging.stop());
  source.ram.fill(0xa5);
  await world.settle(source.device.reset());
  return { state, dirty, truth, ringIndices };
}

async function readAll(world: World): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (;;) {
    const into = new Uint8Array(777);
    // oxlint-disable-next-line no-await-in-loop -- a stream
    const length = await world.settle(world.host.device.migration!.readData(into));
    if (length === 0) {
      return Uint8Array.from(Buffer.concat(parts));
    }
    parts.push(into.subarray(0, length));
  }
}

function pagesOf(bitmap: Uint8Array): Set<number> {
  const pages = new Set<number>();
  for (const [index, byte] of bitmap.entries()) {
    for (let bit = 0; bit < 8; bit++) {
      if (((byte >>> bit) & 1) === 1) {
        pages.add(index * 8 + bit);
      }
    }
  }
  return pages;
}

/** Page numbers from the start of guest memory; private memory lies elsewhere. */
function guestPages(pages: readonly number[], size: number): Set<number> {
  const first = Number(RAM_IOVA) / PAGE;
  const inside = pages.filter((page) => page >= first && page < first + size / PAGE);
  return new Set(inside.map((page) => page - first));
}
