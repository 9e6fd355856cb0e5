import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@vfmig/core";
import {
  listenSwitch,
  type ListeningSwitch,
  type ListenSwitchOptions,
  type SwitchEvent,
} from "../switch/listen-switch.ts";
import { joinSwitch, type SwitchPortOptions } from "../switch/switch-port.ts";
import type { CountingPort } from "../packet-port.ts";

/** Collects what happens, one after the other, and waits until there is so much of it. */
export class Seen<T> {
  readonly all: T[] = [];
  #waiting: (() => void) | undefined;

  add(thing: T): void {
    this.all.push(thing);
    this.#waiting?.();
  }

  async until(count: number): Promise<void> {
    while (this.all.length < count) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
      await new Promise<undefined>((resolve) => {
        this.#waiting = () => resolve(undefined);
      });
    }
  }
}

/** A device at a switch, and the marks of the frames that it got. */
export interface JoinedDevice {
  readonly port: CountingPort;
  readonly got: Seen<number>;
  /** Settles when it knows itself that it has joined, which may be after the switch has said so. */
  readonly joined: Promise<void>;
}

/** A folder, the switches and devices of one test, and their end. */
export class SwitchRig {
  readonly folder: string = mkdtempSync(join(tmpdir(), "switch-"));
  readonly path: string = join(this.folder, "switch");
  readonly #ports: CountingPort[] = [];
  readonly #servers: ListeningSwitch[] = [];

  async listen(
    options: ListenSwitchOptions = {},
  ): Promise<{ readonly server: ListeningSwitch; readonly events: Seen<SwitchEvent> }> {
    const events = new Seen<SwitchEvent>();
    const onEvent = (event: SwitchEvent): void => events.add(event);
    const server = await listenSwitch(this.path, { onEvent, ...options });
    this.#servers.push(server);
    return { server, events };
  }

  device(options: Partial<SwitchPortOptions> = {}): JoinedDevice {
    const { promise: joined, resolve } = Promise.withResolvers<void>();
    const info = (text: string): void => {
      if (text.startsWith("joined")) resolve();
    };
    const port = joinSwitch({ path: this.path, logger: { ...silentLogger, info }, ...options });
    this.#ports.push(port);
    const got = new Seen<number>();
    port.attach((frame) => {
      got.add(frame[14] ?? -1);
      return "accepted";
    });
    return { port, got, joined };
  }

  async end(): Promise<void> {
    for (const port of this.#ports) port.close();
    await Promise.all(this.#servers.map((server) => server[Symbol.asyncDispose]()));
    rmSync(this.folder, { recursive: true, force: true });
  }
}
