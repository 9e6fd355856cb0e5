import { DMA_PAGE_SIZE as PAGE } from "../../memory/dma-map.ts";
import type { RecordedEvent, RecordedMemory } from "../events.ts";
import { bytesText, type Difference } from "./difference.ts";

/** Of an intended change, `data` is its mask. */
type MemoryEvent = Omit<RecordedMemory, "kind"> & {
  readonly kind: RecordedMemory["kind"] | "intended";
};

/** What the device left in one byte until the guest wrote it anew. */
interface Left {
  readonly before: number;
  value: number;
  op: number;
  /** Bits that the sub-driver means to show otherwise than the device. */
  mask: number;
}

/**
 * Differences of what the device wrote into guest memory, byte for byte: what counts is what it left there
 * until the guest wrote that byte anew, not in how many pieces or when it came.
 */
export function compareMemory(
  left: readonly RecordedEvent[],
  right: readonly RecordedEvent[],
  horizon: number,
): readonly Difference[] {
  const a = byPage(left, horizon);
  const b = byPage(right, horizon);
  const lastStep = Math.min(lastOf(left), lastOf(right), horizon);
  const found: Difference[] = [];
  for (const page of new Set([...a.keys(), ...b.keys()])) {
    const run = new RunOfBytes(found);
    const lefts = historyOf(a.get(page) ?? [], page);
    const rights = historyOf(b.get(page) ?? [], page);
    const written = new Set([...lefts.keys(), ...rights.keys()]);
    for (const at of [...written].toSorted((one, other) => one - other)) {
      const first = firstUnequal(lefts.get(at) ?? [], rights.get(at) ?? []);
      // What one side still wrote after the last step the other may have had no time for.
      const late = first?.one === true && first.op >= lastStep;
      if (first !== undefined && !late) run.add(page + at, first);
    }
    run.end();
  }
  return found;
}

function lastOf(events: readonly RecordedEvent[]): number {
  return events.at(-1)?.op ?? 0;
}

function byPage(
  events: readonly RecordedEvent[],
  horizon: number,
): ReadonlyMap<number, readonly MemoryEvent[]> {
  const pages = new Map<number, MemoryEvent[]>();
  for (const each of events) {
    if (each.op >= horizon) break;
    const event = memoryEvent(each);
    if (event === undefined) continue;
    const end = event.iova + event.data.length;
    for (let page = event.iova - (event.iova % PAGE); page < end; page += PAGE) {
      const known = pages.get(page);
      if (known === undefined) pages.set(page, [event]);
      else known.push(event);
    }
  }
  return pages;
}

function memoryEvent(event: RecordedEvent): MemoryEvent | undefined {
  if (event.kind === "intended") {
    const { iova, mask } = event.change;
    return { kind: "intended", op: event.op, iova, data: mask };
  }
  return "iova" in event ? event : undefined;
}

/** For each byte of a page, what the device left there, one after the other. */
function historyOf(
  events: readonly MemoryEvent[],
  page: number,
): ReadonlyMap<number, readonly Left[]> {
  const history = new Map<number, Left[]>();
  if (!events.some(({ kind }) => kind === "device-memory" || kind === "intended")) return history;
  const now = new Uint8Array(PAGE);
  const open: boolean[] = [];
  const leftAt = (at: number): Left[] => {
    const known = history.get(at) ?? [];
    history.set(at, known);
    return known;
  };
  for (const { kind, op, iova, data } of events) {
    const from = Math.max(iova, page);
    const to = Math.min(iova + data.length, page + PAGE);
    for (let address = from; address < to; address++) {
      const at = address - page;
      const value = data[address - iova] ?? 0;
      if (kind === "intended") {
        intend(leftAt(at), open[at] === true, now[at] ?? 0, value, op);
        open[at] = true;
        continue;
      }
      const before = now[at] ?? 0;
      now[at] = value;
      if (kind !== "device-memory") {
        open[at] = false;
        continue;
      }
      if (value === before) continue;
      const known = leftAt(at);
      const last = open[at] === true ? known.at(-1) : undefined;
      if (last === undefined) known.push({ before, value, op, mask: 0 });
      else Object.assign(last, { value, op });
      open[at] = true;
    }
  }
  for (const [at, list] of history) {
    history.set(
      at,
      list.filter(({ before, value, mask }) => before !== value || mask !== 0),
    );
  }
  return history;
}

/** Notes that the byte that stands there now may differ in the bits of `mask`; also one that stayed the same. */
function intend(known: Left[], open: boolean, value: number, mask: number, op: number): void {
  const last = open ? known.at(-1) : undefined;
  if (last === undefined) known.push({ before: value, value, op, mask });
  else last.mask |= mask;
}

interface Unequal {
  readonly op: number;
  readonly left: number | undefined;
  readonly right: number | undefined;
  /** Only one side wrote. */
  readonly one: boolean;
}

function firstUnequal(a: readonly Left[], b: readonly Left[]): Unequal | undefined {
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    const [left, right] = [a[i], b[j]];
    if (left !== undefined && right !== undefined && meant(left, right)) {
      i++;
      j++;
      // What was meant to differ changed nothing here, and the other side has nothing to compare.
    } else if (right !== undefined && stayed(right)) {
      j++;
    } else if (left !== undefined && stayed(left)) {
      i++;
    } else {
      const op = Math.min(left?.op ?? Number.MAX_VALUE, right?.op ?? Number.MAX_VALUE);
      const one = left === undefined || right === undefined;
      return { op, left: left?.value, right: right?.value, one };
    }
  }
  return undefined;
}

/** The same, apart from bits that one of them may choose. */
function meant(left: Left, right: Left): boolean {
  return ((left.value ^ right.value) & ~(left.mask | right.mask)) === 0;
}

function stayed({ before, value, mask }: Left): boolean {
  return mask !== 0 && before === value;
}

/** Makes one difference of bytes that follow one another. */
class RunOfBytes {
  readonly #found: Difference[];
  #start = 0;
  #end = -1;
  #op = 0;
  #left: (number | undefined)[] = [];
  #right: (number | undefined)[] = [];

  constructor(found: Difference[]) {
    this.#found = found;
  }

  add(iova: number, { op, left, right }: Unequal): void {
    if (iova !== this.#end || op !== this.#op) {
      this.end();
      this.#start = iova;
      this.#op = op;
    }
    this.#left.push(left);
    this.#right.push(right);
    this.#end = iova + 1;
  }

  end(): void {
    if (this.#left.length === 0) return;
    const iova = this.#start;
    const length = this.#left.length;
    this.#found.push({
      op: this.#op,
      kind: "memory",
      key: `memory 0x${iova.toString(16)}`,
      place: `guest memory at 0x${iova.toString(16)}, ${length} ${length === 1 ? "byte" : "bytes"}`,
      left: text(this.#left),
      right: text(this.#right),
    });
    this.#left = [];
    this.#right = [];
  }
}

function text(values: readonly (number | undefined)[]): string {
  if (values.every((value) => value === undefined)) return "not written";
  return bytesText(Uint8Array.from(values, (value) => value ?? 0));
}
