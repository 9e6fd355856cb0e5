/** The floor of a model's work: the bytes and descriptor words alone. */
import { RX_DESCRIPTOR_SIZE, TX_DESCRIPTOR_SIZE } from "@vfmig/iavf";
import { BATCH, type MeasuredDriver, RING } from "./measured-driver.ts";

export type Direction = "rx" | "tx";

/** What the floor is measured on. */
export interface Floor {
  readonly driver: MeasuredDriver;
  /** A frame for each queue. */
  readonly inward: readonly Uint8Array[];
}

/** The same copies and descriptor words: the least that moving a frame through a ring can be. */
export function measureFloor(
  { driver, inward }: Floor,
  direction: Direction,
  bytes: number,
  total: number,
): number {
  const wire = new Uint8Array(2048);
  let spent = 0;
  let done = 0;
  let index = 0;
  while (done < total) {
    for (let queue = 0; queue < inward.length; queue++) {
      if (direction === "rx") driver.post(queue, index, BATCH);
      else driver.fill(queue, index, BATCH, bytes);
    }
    const start = performance.now();
    for (let n = 0; n < BATCH; n++) {
      for (let queue = 0; queue < inward.length; queue++) {
        if (direction === "rx") floorRx(driver, queue, (index + n) % RING, inward[queue] ?? wire);
        else floorTx(driver, queue, (index + n) % RING, bytes, wire);
      }
    }
    spent += performance.now() - start;
    index = (index + BATCH) % RING;
    done += BATCH * inward.length;
  }
  return (spent * 1e6) / done;
}

function floorRx(driver: MeasuredDriver, queue: number, index: number, frame: Uint8Array): void {
  const place = driver.layout.rxRing(queue) + index * RX_DESCRIPTOR_SIZE;
  const { data } = driver;
  const address = data.getUint32(place + 4, true) * 2 ** 32 + data.getUint32(place, true);
  driver.memory.set(frame, address);
  for (let word = 0; word < RX_DESCRIPTOR_SIZE; word += 4) data.setUint32(place + word, 1, true);
}

function floorTx(
  driver: MeasuredDriver,
  queue: number,
  index: number,
  bytes: number,
  wire: Uint8Array,
): void {
  const place = driver.layout.txRing(queue) + index * TX_DESCRIPTOR_SIZE;
  const { data } = driver;
  const address = data.getUint32(place + 4, true) * 2 ** 32 + data.getUint32(place, true);
  wire.set(driver.memory.subarray(address, address + bytes));
  data.setUint32(place + 12, 0, true);
  data.setUint32(place + 8, 0xf, true);
}
