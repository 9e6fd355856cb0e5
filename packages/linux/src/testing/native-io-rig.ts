import { randomUUID } from "node:crypto";
import { readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { VfmigError } from "@vfmig/core";
import { afterEach, beforeEach, describe } from "vitest";
import { createFakeIo } from "../fake/index.ts";
import type { NativeIo } from "../native-io.ts";
import { createLinuxIo } from "../native/linux-io.ts";
import type { OnWatchError } from "../watch-table.ts";

/** One implementation, and how its open descriptors are counted. */
interface Subject {
  readonly io: NativeIo;
  readonly openFds: () => number;
}

type CreateSubject = (onWatchError?: OnWatchError) => Subject;

interface Disposed {
  [Symbol.dispose](): void;
}

const createLinux: CreateSubject = (onWatchError) => ({
  io: createLinuxIo(onWatchError === undefined ? {} : { onWatchError }),
  openFds: countOpenFds,
});

const createFake: CreateSubject = (onWatchError) => {
  const io = createFakeIo(onWatchError === undefined ? {} : { onWatchError });
  return { io, openFds: () => io.openFds };
};

/** Open descriptors of this process, and always the one of the listing itself. */
export function countOpenFds(): number {
  return readdirSync("/proc/self/fd").length;
}

/** What a test has: one implementation, and things that are closed after it. */
export class Rig {
  readonly #create: CreateSubject;
  readonly #owned: (number | Disposed)[] = [];
  readonly #paths: string[] = [];
  #subject: Subject;
  #before: number;

  constructor(create: CreateSubject) {
    this.#create = create;
    this.#subject = create();
    this.#before = this.#subject.openFds();
  }

  get io(): NativeIo {
    return this.#subject.io;
  }

  /** A fresh implementation. */
  start(onWatchError?: OnWatchError): void {
    this.#subject = this.#create(onWatchError);
    this.#before = this.#subject.openFds();
  }

  /** Closes everything, and fails where a descriptor is left or missing. */
  finish(): void {
    for (const thing of this.#owned.splice(0).toReversed()) {
      if (typeof thing === "number") this.io.close(thing);
      else thing[Symbol.dispose]();
    }
    for (const path of this.#paths.splice(0)) rmSync(path, { force: true });
    const left = this.#subject.openFds() - this.#before;
    if (left !== 0) throw new Error(`${left} descriptors were leaked`);
  }

  own<T extends number | Disposed>(thing: T): T {
    this.#owned.push(thing);
    return thing;
  }

  pair(): [number, number] {
    const [one, other] = this.io.socketPair();
    return [this.own(one), this.own(other)];
  }

  socketPath(): string {
    const path = join(tmpdir(), `vfmig-${randomUUID()}.sock`);
    this.#paths.push(path);
    return path;
  }

  receive(fd: number, length = 4096): { bytes: number[]; fds: number[]; count: number } {
    const into = new Uint8Array(length);
    const fds: number[] = [];
    const count = this.io.receive(fd, into, 0, length, fds);
    for (const each of fds) this.own(each);
    return { count, fds, bytes: [...into.subarray(0, Math.max(0, count))] };
  }
}

/** Runs `tests` against every implementation of {@link NativeIo}. */
export function describeNativeIo(topic: string, tests: (rig: Rig) => void): void {
  describe.each([
    ["linux", createLinux],
    ["the fake", createFake],
  ])(`${topic} of %s`, (_name, create) => {
    const rig = new Rig(create);
    beforeEach(() => rig.start());
    afterEach(() => rig.finish());
    tests(rig);
  });
}

/** What `run` throws: its errno or else its code; undefined where it throws nothing. */
export function failure(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    if (!VfmigError.is(error)) throw error;
    return error.details["errno"] ?? error.code;
  }
  return undefined;
}

/** Lets watches run. */
export async function turns(count = 5): Promise<void> {
  for (let left = count; left > 0; left--) {
    // oxlint-disable-next-line no-await-in-loop -- one turn after the other is the point
    await new Promise((resolve) => setImmediate(resolve));
  }
}

export const bytesOf = (...values: number[]): Uint8Array<ArrayBuffer> => Uint8Array.from(values);
