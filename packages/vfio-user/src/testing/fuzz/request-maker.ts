import { join, message, QEMU_CAPABILITIES, u32, u64, versionPayload } from "../raw-peer.ts";
import { REMOTE_REGISTER } from "./fuzz-device.ts";
import { LIMITS } from "./limits.ts";
import type { Random } from "./random.ts";

/** What may ride beside a message. */
export type FdKind = "memfd" | "eventfd" | "socket" | "dead-socket";

/** One message, and what fds go with it. */
export interface Made {
  readonly bytes: Uint8Array;
  readonly fds: readonly FdKind[];
}

interface Payload {
  readonly command: number;
  readonly payload: Uint8Array;
  readonly fds?: readonly FdKind[];
}

const NO_REPLY = 0x10;
const GET = 0x1_0000;
const SET = 0x2_0000;
const PROBE = 0x4_0000;
const FEATURES = [1, 2, 6, 7, 8, 9] as const;
const CAPABILITIES = [
  QEMU_CAPABILITIES,
  '{"capabilities":{}}',
  "{}",
  '{"capabilities":{"max_msg_fds":1,"max_data_xfer_size":4096,"max_dma_maps":3,"twin_socket":{"supported":true}}}',
  '{"capabilities":{"twin_socket":{"supported":true},"write_multiple":true,"max_msg_fds":8}}',
  '{"capabilities":{"max_msg_fds":8,"pgsizes":4096,"vfmig":{"layout":true}}}',
] as const;
const BAD_CAPABILITIES = [
  "",
  "null",
  "[]",
  '{"capabilities":',
  '{"capabilities":{"max_msg_fds":-1}}',
  '{"capabilities":{"pgsizes":1e99}}',
  `{"capabilities":${"[".repeat(500)}`,
  '{"capabilities":{"max_data_xfer_size":"4096"}}',
] as const;

/** Requests as a client sends them, in any order, and then made a little wrong. */
export class RequestMaker {
  readonly #random: Random;
  #id = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** A first message; mostly one that the server takes. */
  version(): Made {
    const random = this.#random;
    const good = !random.oneIn(12);
    const json = random.pick(good ? CAPABILITIES : BAD_CAPABILITIES);
    const [major, minor] = random.oneIn(40) ? [random.below(3), random.below(65_536)] : [0, 0];
    return { bytes: this.#message(1, versionPayload(major, minor, json)), fds: [] };
  }

  /** A valid request or one with wrong fields, sizes, flags or fds. */
  next(): Made {
    const random = this.#random;
    const { command, payload, fds = [] } = this.#request();
    const flags = random.oneIn(10) ? NO_REPLY : random.oneIn(60) ? random.field() : 0;
    const bytes = this.#message(command, payload, flags);
    if (!random.oneIn(4)) return { bytes, fds };
    return this.#spoil(bytes, fds);
  }

  /** Bytes of no meaning, at most with a header that holds them together. */
  noise(): Made {
    const random = this.#random;
    const length = random.below(random.oneIn(10) ? 2000 : 80);
    const fds = random.oneIn(5) ? this.#anyFds() : [];
    if (random.oneIn(4)) return { bytes: random.bytes(length + 1), fds };
    return { bytes: this.#message(random.below(24), random.bytes(length), 0), fds };
  }

  #message(command: number, payload: Uint8Array, flags: number = 0): Uint8Array {
    this.#id = (this.#id + 1) & 0xffff;
    return message(this.#id, command, payload, flags);
  }

  #request(): Payload {
    const random = this.#random;
    switch (random.below(18)) {
      case 0:
        return this.#dmaMap();
      case 1:
        return this.#dmaUnmap();
      case 2:
        return { command: 4, payload: u32(random.oneIn(6) ? random.field() : 16, 0, 0, 0) };
      case 3: {
        const argsz = random.pick([32, 128, 4096, random.field()]);
        return { command: 5, payload: u32(argsz, 0, random.below(11), 0, 0, 0, 0, 0) };
      }
      case 4:
        return { command: 6, payload: u32(random.field(), 0, random.below(10), 0) };
      case 5:
        return { command: 7, payload: u32(random.pick([16, 24]), 0, random.below(7), 0) };
      case 6:
      case 7:
        return this.#setIrqs();
      case 8:
      case 9:
        return this.#regionRead();
      case 10:
      case 11:
        return this.#regionWrite();
      case 12:
        return random.oneIn(4)
          ? { command: 13, payload: new Uint8Array(0) }
          : { command: random.below(24), payload: random.bytes(random.below(64)) };
      case 13:
        return this.#writeMulti();
      case 14:
        return this.#migrationData();
      case 15:
        return this.#regionUnmapped();
      default:
        return this.#feature();
    }
  }

  #dmaMap(): Payload {
    const random = this.#random;
    const size = random.pick([4096, 8192, 65_536, random.field()]);
    const iova = random.oneIn(8) ? random.wideField() : BigInt(random.below(32) * 4096);
    const offset = random.oneIn(8) ? random.wideField() : BigInt(random.below(2) * 4096);
    const payload = join(u32(32, random.oneIn(8) ? random.field() : 3), u64(offset, iova, size));
    const fds: FdKind[] = random.oneIn(3) ? [] : ["memfd"];
    return { command: 2, payload, fds };
  }

  #dmaUnmap(): Payload {
    const random = this.#random;
    if (random.oneIn(6)) return { command: 3, payload: join(u32(24, 2), u64(0, 0)) };
    const size = random.pick([4096, 8192, 65_536, random.field()]);
    const head = join(u64(random.below(32) * 4096, size));
    if (!random.oneIn(4)) return { command: 3, payload: join(u32(24, 0), head) };
    const bitmap = u64(
      random.pick([4096, 8192, random.field()]),
      random.pick([8, 64, random.field()]),
    );
    return { command: 3, payload: join(u32(random.pick([40, 48, 4096]), 1), head, bitmap) };
  }

  #setIrqs(): Payload {
    const random = this.#random;
    const kind = random.pick([1, 2, 4]);
    const action = random.pick([8, 16, 32, 32, 32]);
    const count = random.oneIn(8) ? random.field() : random.below(12);
    const start = random.oneIn(8) ? random.field() : random.below(8);
    const index = random.pick([0, 2, 2, 2, 3, random.below(6)]);
    const values = kind === 2 ? random.bytes(Math.min(count, 64)) : new Uint8Array(0);
    const fds =
      kind === 4 ? Array.from({ length: Math.min(count, 16) }, () => "eventfd" as const) : [];
    const payload = join(u32(20 + values.length, kind | action, index, start, count), values);
    return { command: 8, payload, fds: random.oneIn(5) ? fds.slice(1) : fds };
  }

  #regionRead(): Payload {
    const random = this.#random;
    const count = random.pick([1, 2, 4, 8, 64, 4096, random.field()]);
    return { command: 9, payload: join(u64(this.#offset()), u32(this.#region(), count)) };
  }

  #regionWrite(): Payload {
    const random = this.#random;
    const count = random.pick([1, 2, 4, 4, 8, random.below(200)]);
    const data = random.oneIn(3) ? u32(random.below(64) * 1024) : random.bytes(count);
    const claimed = random.oneIn(12) ? random.field() : data.length;
    const head = join(u64(this.#offset()), u32(this.#region(), claimed));
    return { command: 10, payload: join(head, data) };
  }

  #region(): number {
    return this.#random.pick([0, 0, 0, 1, 7, this.#random.below(12)]);
  }

  #offset(): bigint | number {
    const random = this.#random;
    if (random.oneIn(10)) return random.wideField();
    return random.pick([0x100, 0x108, REMOTE_REGISTER, random.below(8200), random.below(64)]);
  }

  #writeMulti(): Payload {
    const random = this.#random;
    const count = random.below(6);
    const entries = Array.from({ length: count }, () =>
      join(u64(this.#offset()), u32(this.#region(), random.below(9)), random.bytes(8)),
    );
    const claimed = random.oneIn(8) ? random.wideField() : count;
    return { command: 15, payload: join(u64(claimed), ...entries) };
  }

  #regionUnmapped(): Payload {
    const random = this.#random;
    const count = random.below(4);
    const field = (): bigint | number =>
      random.oneIn(10) ? random.wideField() : random.below(5) * (random.oneIn(10) ? 100 : 4096);
    const areas = Array.from({ length: count }, (_, i) =>
      u64(random.oneIn(3) ? field() : i * 4096, random.oneIn(3) ? field() : 4096),
    );
    const claimed = random.oneIn(10) ? random.field() : count;
    const argsz = random.oneIn(10) ? random.field() : 16 + 16 * count;
    const region = random.pick([2, 2, 2, random.below(12)]);
    const flags = random.oneIn(20) ? random.field() : 0;
    return { command: 0x8001, payload: join(u32(argsz, flags, region, claimed), ...areas) };
  }

  #migrationData(): Payload {
    const random = this.#random;
    const size = random.pick([16, 4096, LIMITS.data, random.field()]);
    if (random.oneIn(3))
      return { command: 19, payload: u32(random.pick([32, 40, random.field()]), 0) };
    if (random.oneIn(2)) return { command: 17, payload: u32(random.pick([8, size]), size) };
    const data = random.bytes(random.oneIn(8) ? 20_000 : random.below(500));
    const claimed = random.oneIn(8) ? random.field() : data.length;
    return { command: 18, payload: join(u32(8 + data.length, claimed), data) };
  }

  #feature(): Payload {
    const random = this.#random;
    const feature = random.oneIn(10) ? random.below(16) : random.pick(FEATURES);
    const flags = random.pick([GET, SET, GET, SET, PROBE, PROBE | GET, random.field() << 16]);
    const data = this.#featureData(feature);
    const argsz = random.pick([8 + data.length, 4096, 65_536, random.field()]);
    return { command: 16, payload: join(u32(argsz, (feature | flags) >>> 0), data) };
  }

  #featureData(feature: number): Uint8Array {
    const random = this.#random;
    if (feature === 2) return u32(random.below(9), random.oneIn(4) ? random.u32() : 0);
    if (feature === 6) {
      const count = random.below(5);
      const ranges = Array.from({ length: count }, (_, i) => u64(i * 0x1_0000, 0x1_0000));
      const claimed = random.oneIn(8) ? random.field() : count;
      return join(u64(random.pick([4096, 65_536, random.field()])), u32(claimed, 0), ...ranges);
    }
    if (feature === 8) {
      const size = random.oneIn(4) ? random.wideField() : 0x10_0000;
      return u64(random.below(64) * 4096, size, random.pick([4096, 65_536, random.field()]));
    }
    return new Uint8Array(random.oneIn(4) ? random.below(24) : 8);
  }

  #spoil(bytes: Uint8Array, fds: readonly FdKind[]): Made {
    const random = this.#random;
    switch (random.below(6)) {
      case 0:
        return { bytes, fds: this.#anyFds() };
      case 1: {
        // A field of the payload, wherever it stands.
        const view = new DataView(bytes.buffer);
        const at = 16 + 4 * random.below(Math.max(1, (bytes.length - 16) >> 2));
        if (at + 4 <= bytes.length) view.setUint32(at, random.field(), true);
        return { bytes, fds };
      }
      case 2: {
        const shorter = bytes.slice(0, Math.max(16, bytes.length - 1 - random.below(12)));
        return { bytes: sized(shorter, shorter.length), fds };
      }
      case 3: {
        const longer = join(bytes, random.bytes(1 + random.below(24)));
        return { bytes: sized(longer, longer.length), fds };
      }
      case 4: {
        const at = random.below(bytes.length);
        bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
        // The size stays, mostly: what breaks the framing ends the session.
        return { bytes: random.oneIn(20) ? bytes : sized(bytes, bytes.length), fds };
      }
      default:
        return { bytes: random.oneIn(20) ? sized(bytes, random.field()) : bytes, fds };
    }
  }

  #anyFds(): FdKind[] {
    const random = this.#random;
    const count = random.oneIn(20) ? random.below(20) : random.below(4);
    return Array.from({ length: count }, () =>
      random.pick<FdKind>(["memfd", "eventfd", "socket", "dead-socket"]),
    );
  }
}

/** The message with `size` in its header. */
function sized(bytes: Uint8Array, size: number): Uint8Array {
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(4, size, true);
  return bytes;
}
