import type { NativeIo } from "@vfmig/linux";
import { createFakeIo } from "@vfmig/linux/fake";
import { createVfioUserServer } from "../server/server.ts";
import { MemoryDevice } from "./memory-device.ts";
import { message, QEMU_CAPABILITIES, u32, versionPayload } from "./raw-peer.ts";
import { regionRead, regionWrite } from "./requests.ts";

// A process of its own, so that nothing else allocates: serves accesses that come out of memory, and prints how many
// bytes of heap each took. Needs young space for all of it, since a collection would spoil the count:
//   node --expose-gc --min-semi-space-size=64 --max-semi-space-size=64 allocation-process.ts ACCESSES
const accesses = Number(process.argv[2] ?? "1000000");
const PER_TURN = 64;
const MOST_ROUNDS = 8;
/** Bytes per access: what the process itself allocates meanwhile. Less would be noise. */
const ENOUGH = 0.1;
const collect =
  globalThis.gc ??
  ((): never => {
    throw new Error("start this with --expose-gc");
  });

/** A socket that has one request over and over, and takes every reply. */
class Source {
  #request: Uint8Array = new Uint8Array(0);
  #left = 0;
  replies = 0;

  /** The next `count` reads bring the request. */
  load(request: Uint8Array, count: number): void {
    this.#request = request;
    this.#left = count;
  }

  receive(into: Uint8Array, offset: number): number {
    if (this.#left === 0) return -1;
    this.#left -= 1;
    const request = this.#request;
    for (let i = 0; i < request.length; i += 1) into[offset + i] = request[i] ?? 0;
    return request.length;
  }
}

class QuietDevice extends MemoryDevice {
  override readRegion(_index: number, offset: number, into: Uint8Array): void {
    for (let i = 0; i < into.length; i += 1) into[i] = this.bar[offset + i] ?? 0;
  }

  override writeRegion(_index: number, offset: number, from: Uint8Array): void {
    for (let i = 0; i < from.length; i += 1) this.bar[offset + i] = from[i] ?? 0;
  }
}

const source = new Source();
let onReadable = (): void => {};
const io: NativeIo = {
  ...createFakeIo(),
  receive: (_fd, into, offset) => source.receive(into, offset),
  send: (_fd, _from, _offset, length) => {
    source.replies += 1;
    return length;
  },
  watch: (fd, run) => {
    onReadable = run;
    return { fd, [Symbol.dispose]: () => {} };
  },
};
const [fd] = io.socketPair();
const server = createVfioUserServer({ io, device: new QuietDevice(), fd });

function serve(request: Uint8Array, count: number): void {
  for (let left = count; left > 0; left -= PER_TURN) {
    source.load(request, PER_TURN);
    // Each message is read by itself, as those of a client that waits for its answer are.
    for (let i = 0; i < PER_TURN; i += 1) onReadable();
  }
}

/** The least of some rounds: on a busy machine the compiler ends its work rounds later than on an idle one. */
function measure(request: Uint8Array): number {
  serve(request, 200_000);
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < MOST_ROUNDS && least >= ENOUGH; round += 1) {
    collect();
    const before = process.memoryUsage().heapUsed;
    source.replies = 0;
    serve(request, accesses);
    if (source.replies < accesses) throw new Error(`only ${source.replies} replies were sent`);
    least = Math.min(least, (process.memoryUsage().heapUsed - before) / accesses);
  }
  return least;
}

source.load(message(1, 1, versionPayload(0, 0, QEMU_CAPABILITIES)), 1);
onReadable();
const read = measure(message(2, 9, regionRead(0x200, 4)));
const write = measure(message(3, 10, regionWrite(0x200, u32(7))));
console.log(JSON.stringify({ accesses, read, write }));
await server.close();
