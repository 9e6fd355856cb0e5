import type { Logger, VfioDevice } from "@vfmig/core";
import type { NativeIo } from "@vfmig/linux";
import type { VfioUserServerOptions } from "../server/options.ts";
import { createVfioUserServer, type VfioUserServer } from "../server/server.ts";
import { MemoryDevice, type MemoryDeviceOptions } from "./memory-device.ts";
import { RawPeer } from "./raw-peer.ts";
import type { TestIo } from "./test-io.ts";

/** A served memory device, with account of descriptors and of clients that came and went. */
export class Harness<Device extends VfioDevice = MemoryDevice> implements AsyncDisposable {
  readonly io: NativeIo;
  readonly path: string;
  readonly device: Device;
  readonly server: VfioUserServer;
  readonly log: string[] = [];
  readonly openFds: () => number;
  #gone = 0;
  #waiters: (() => void)[] = [];

  constructor(
    opened: ReturnType<TestIo["open"]>,
    device: Device,
    options: Partial<VfioUserServerOptions> = {},
  ) {
    this.io = opened.io;
    this.path = opened.path;
    this.openFds = () => opened.openFds();
    this.device = device;
    this.server = createVfioUserServer({
      io: this.io,
      device,
      path: this.path,
      logger: logTo(this.log),
      ...options,
      onClient: (event) => {
        if (event === "connected") return;
        this.#gone += 1;
        for (const waiter of this.#waiters.splice(0)) waiter();
      },
    });
  }

  static of(
    testIo: TestIo,
    options: Partial<VfioUserServerOptions> & MemoryDeviceOptions = {},
  ): Harness {
    return new Harness(testIo.open(), new MemoryDevice(options), options);
  }

  /** A new raw client, connected but silent. */
  connect(): RawPeer {
    return new RawPeer(this.io, this.io.connect(this.path));
  }

  /** A new raw client that has negotiated. */
  async negotiated(): Promise<RawPeer> {
    const peer = this.connect();
    await peer.negotiate();
    return peer;
  }

  /** Settles when `count` clients have gone and were cleaned up after. */
  async clientsGone(count: number): Promise<void> {
    while (this.#gone < count) {
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close();
  }
}

function logTo(lines: string[]): Logger {
  const add = (message: string): void => void lines.push(message);
  return { debug: add, info: add, warn: add, error: add };
}
