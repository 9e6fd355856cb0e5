import { VfmigError } from "@vfmig/core";
import type { MappedMemory, NativeIo } from "@vfmig/linux";
import { Unsupported } from "./bed-case.ts";

// iommufd's own requests (include/uapi/linux/iommufd.h) and those of its self-test, by which a user plays the device
// (drivers/iommu/iommufd/iommufd_test.h, `struct iommu_test_cmd`).
const IOAS_ALLOC = 0x3b81;
const IOAS_MAP = 0x3b85;
const HWPT_ALLOC = 0x3b89;
const TEST = 0x3ba0;
const TEST_BYTES = 72;
const OP = { MOCK_DOMAIN_REPLACE: 10, MOCK_DOMAIN_FLAGS: 12, DIRTY: 13 } as const;
const DIRTY_TRACKING = 2;
/** `FIXED_IOVA | WRITEABLE | READABLE`. */
const MAP_FLAGS = 7;

/** Least address that the mock translates, in bytes. */
export const MOCK_FIRST = 0x100_0000n;
/** Page of the mock in bytes: half of the processor's. */
export const MOCK_PAGE = 2048;

/** A device of iommufd's self-test, attached to a page table that logs writes. */
export class MockIommu implements Disposable {
  readonly iommufd: number;
  /** The page table. */
  readonly hwpt: number;
  readonly #io: NativeIo;
  readonly #ioas: number;

  /** @throws Unsupported where the kernel has no self-test */
  constructor(io: NativeIo) {
    this.#io = io;
    this.iommufd = io.open("/dev/iommu");
    try {
      this.#ioas = this.#ask(IOAS_ALLOC, words(12, {})).getUint32(8, true);
      const mock = this.#test(OP.MOCK_DOMAIN_FLAGS, this.#ioas, {});
      const [device, bound] = [mock.getUint32(16, true), mock.getUint32(24, true)];
      const table = words(40, { 4: DIRTY_TRACKING, 8: bound, 12: this.#ioas });
      this.hwpt = this.#ask(HWPT_ALLOC, table).getUint32(16, true);
      this.#test(OP.MOCK_DOMAIN_REPLACE, device, { 16: this.hwpt });
    } catch (error) {
      io.close(this.iommufd);
      if (VfmigError.is(error) && error.details["errno"] === "ENOTTY") {
        throw new Unsupported("this kernel is built without iommufd's self-test");
      }
      throw error;
    }
  }

  map(iova: bigint, memory: MappedMemory): void {
    const request = words(40, { 4: MAP_FLAGS, 8: this.#ioas });
    request.setBigUint64(16, memory.address, true);
    request.setBigUint64(24, BigInt(memory.bytes.length), true);
    request.setBigUint64(32, iova, true);
    this.#ask(IOAS_MAP, request);
  }

  /** Writes as the device would: to those pages of the mock of which `pages` has the bit. */
  write(iova: bigint, size: number, pages: Uint8Array): number {
    const request = words(TEST_BYTES, { 4: OP.DIRTY, 8: this.hwpt });
    request.setBigUint64(24, iova, true);
    request.setBigUint64(32, BigInt(size), true);
    request.setBigUint64(40, BigInt(MOCK_PAGE), true);
    this.#io.ioctl(this.iommufd, TEST, bytesOf(request), [{ at: 48, memory: pages }]);
    return Number(request.getBigUint64(56, true));
  }

  /** The kernel ends everything with the descriptor. */
  [Symbol.dispose](): void {
    this.#io.close(this.iommufd);
  }

  #test(op: number, id: number, more: Readonly<Record<number, number>>): DataView {
    return this.#ask(TEST, words(TEST_BYTES, { 4: op, 8: id, ...more }));
  }

  #ask(request: number, struct: DataView): DataView {
    this.#io.ioctl(this.iommufd, request, bytesOf(struct));
    return struct;
  }
}

/** A struct that begins with its size, with 32-bit words at the offsets given. */
function words(size: number, values: Readonly<Record<number, number>>): DataView {
  const view = new DataView(new ArrayBuffer(size));
  view.setUint32(0, size, true);
  for (const [offset, value] of Object.entries(values)) view.setUint32(Number(offset), value, true);
  return view;
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
