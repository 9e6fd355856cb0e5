import { checkBufferRange, checkPart, checkPosition } from "../checks.ts";
import { ERRNO } from "../errno.ts";
import type { IoctlPointer, MappedMemory, MmapOptions } from "../native-io.ts";
import { systemCallError } from "../system-call-error.ts";
import type { Descriptors } from "./descriptors.ts";
import type { OpenFile } from "./open-file.ts";

const { EINVAL = 22, ENOTTY = 25, ENODEV = 19, EAGAIN = 11, ENOENT = 2 } = ERRNO;

/**
 * A device of the fake, as its driver in a kernel: what is absent, the device does not have. Each call
 * answers what Linux would, a negative number being an errno.
 */
export interface FakeDevice {
  ioctl?(request: number, argument: Uint8Array | number, pointers: readonly IoctlPointer[]): number;
  read?(into: Uint8Array): number;
  write?(from: Uint8Array): number;
  pread?(position: number, into: Uint8Array): number;
  pwrite?(position: number, from: Uint8Array): number;
  /** The bytes that stand there, or an errno. */
  mmap?(offset: bigint, size: number, write: boolean): Uint8Array | number;
  /** The last descriptor of this opening has gone. */
  closed?(): void;
}

export class FakeDeviceFile implements OpenFile {
  readonly kind: OpenFile["kind"] = "device";
  readonly size = 0n;
  readonly shrinkSealed = false;
  readonly changed: Set<() => void> = new Set();
  readonly device: FakeDevice;

  constructor(device: FakeDevice) {
    this.device = device;
  }

  readable(): boolean {
    return true;
  }

  writable(): boolean {
    return true;
  }

  closed(): void {
    this.device.closed?.();
  }
}

/** Devices by path, and the calls on them. */
export class FakeDevices {
  readonly #descriptors: Descriptors;
  readonly #paths = new Map<string, () => FakeDevice | number>();

  constructor(descriptors: Descriptors) {
    this.#descriptors = descriptors;
  }

  add(path: string, open: () => FakeDevice | number): void {
    this.#paths.set(path, open);
  }

  remove(path: string): void {
    this.#paths.delete(path);
  }

  open(path: string): number {
    const device = this.#paths.get(path)?.() ?? -ENOENT;
    if (typeof device === "number") throw systemCallError("open", -device, { path });
    return this.install(device);
  }

  install(device: FakeDevice): number {
    return this.#descriptors.open(new FakeDeviceFile(device));
  }

  /** The device behind `fd`; undefined for any other file. */
  find(call: string, fd: number): FakeDevice | undefined {
    const file = this.#descriptors.get(call, fd);
    return file instanceof FakeDeviceFile ? file.device : undefined;
  }

  ioctl(
    device: FakeDevice,
    fd: number,
    request: number,
    argument: Uint8Array | number,
    pointers: readonly IoctlPointer[],
  ): number {
    const result = device.ioctl?.(request, argument, pointers) ?? -ENOTTY;
    if (result >= 0) return result;
    throw systemCallError("ioctl", -result, { fd, request: `0x${request.toString(16)}` });
  }

  read(device: FakeDevice, fd: number, into: Uint8Array, offset: number, length: number): number {
    const result = device.read?.(into.subarray(offset, offset + length)) ?? -EINVAL;
    return moved("read", fd, result);
  }

  write(device: FakeDevice, fd: number, from: Uint8Array, offset: number, length: number): number {
    const result = device.write?.(from.subarray(offset, offset + length)) ?? -EINVAL;
    return moved("write", fd, result);
  }

  pread(fd: number, into: Uint8Array, offset: number, length: number, position: number): number {
    checkBufferRange("pread", into, offset, length);
    checkPosition("pread", fd, position);
    const device = this.find("pread", fd);
    const bytes = into.subarray(offset, offset + length);
    const result = device?.pread?.(position, bytes) ?? -EINVAL;
    if (result >= 0) return result;
    throw systemCallError("pread", -result, { fd, position, length });
  }

  pwrite(fd: number, from: Uint8Array, offset: number, length: number, position: number): number {
    checkBufferRange("pwrite", from, offset, length);
    checkPosition("pwrite", fd, position);
    const device = this.find("pwrite", fd);
    const bytes = from.subarray(offset, offset + length);
    const result = device?.pwrite?.(position, bytes) ?? -EINVAL;
    if (result >= 0) return result;
    throw systemCallError("pwrite", -result, { fd, position, length });
  }

  mmap(
    device: FakeDevice,
    fd: number,
    size: number,
    address: bigint,
    options: MmapOptions,
  ): MappedMemory {
    const offset = options.offset ?? 0n;
    const bytes = device.mmap?.(offset, size, options.write !== false) ?? -ENODEV;
    if (typeof bytes === "number") throw systemCallError("mmap", -bytes, { fd, size, offset });
    const own = this.#descriptors.open(this.#descriptors.get("mmap", fd));
    const end = (): void => this.#descriptors.close(own);
    return new FakeDeviceMapping(bytes, { fd: own, fdOffset: offset, address }, end);
  }
}

function moved(call: string, fd: number, result: number): number {
  if (result >= 0) return result;
  if (result === -EAGAIN) return -1;
  throw systemCallError(call, -result, { fd });
}

interface Place {
  readonly fd: number;
  readonly fdOffset: bigint;
  readonly address: bigint;
}

class FakeDeviceMapping implements MappedMemory {
  readonly fd: number;
  readonly fdOffset: bigint;
  readonly address: bigint;
  readonly #end: () => void;
  readonly #parts = new Set<FakeDeviceMapping>();
  #bytes: Uint8Array;
  #live = true;

  constructor(bytes: Uint8Array, place: Place, end: () => void) {
    this.#bytes = bytes;
    this.fd = place.fd;
    this.fdOffset = place.fdOffset;
    this.address = place.address;
    this.#end = end;
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  part(offset: number, size: number): MappedMemory {
    checkPart(this.#bytes.length, offset, size);
    const place = {
      fd: this.fd,
      fdOffset: this.fdOffset + BigInt(offset),
      address: this.address + BigInt(offset),
    };
    const bytes = this.#bytes.subarray(offset, offset + size);
    const part: FakeDeviceMapping = new FakeDeviceMapping(bytes, place, () =>
      this.#parts.delete(part),
    );
    this.#parts.add(part);
    return part;
  }

  [Symbol.dispose](): void {
    if (!this.#live) return;
    this.#live = false;
    for (const part of this.#parts) part[Symbol.dispose]();
    this.#bytes = this.#bytes.subarray(0, 0);
    this.#end();
  }
}
