import {
  migrationPath,
  MIGRATION_STATE,
  VfmigError,
  type MigrationCapabilities,
  type MigrationState,
} from "@vfmig/core";
import type { FakeDevice, FakeIo } from "@vfmig/linux/fake";
import { MIGRATION_DATA } from "../../uapi/commands.ts";
import { no, taken } from "./errno.ts";
import type { Trace } from "./trace.ts";

const HEADER = Uint8Array.of(0x6d, 0x74, 0x74, 0x79);

export interface VariantSettings extends MigrationCapabilities {
  /**
   * As the kernel's mtty sample: nothing for now is an end in PRE_COPY, and a refused write is taken
   * all the same.
   */
  readonly mtty?: boolean;
  /** Reaching one of these states fails, and leaves the device in STOP or, with `lost`, in ERROR. */
  readonly fails?: { readonly at: MigrationState; readonly lost: boolean };
  /** An arc of the driver's that hands out a descriptor too many. */
  readonly strayFd?: boolean;
}

/** The migration of a variant driver: the state is 64 bytes of the device's own. */
export class VariantDriver {
  readonly settings: VariantSettings;
  readonly #io: FakeIo;
  readonly #trace: Trace;
  readonly #memory: Uint8Array;
  state: MigrationState = "running";
  reinit = false;
  #session: DataFile | undefined;

  constructor(io: FakeIo, trace: Trace, memory: Uint8Array, settings: VariantSettings) {
    this.#io = io;
    this.#trace = trace;
    this.#memory = memory;
    this.settings = settings;
  }

  get flags(): number {
    return 1 | (this.settings.p2p ? 2 : 0) | (this.settings.preCopy ? 4 : 0);
  }

  get size(): number {
    return HEADER.length + this.#memory.length;
  }

  /** The descriptor of a new session, -1 for none, or undefined with an errno. */
  setState(value: number): { readonly errno: number } | { readonly fd: number } {
    const target = (Object.keys(MIGRATION_STATE) as MigrationState[]).find(
      (name) => MIGRATION_STATE[name] === value,
    );
    if (target === undefined) return { errno: no("EINVAL") };
    if (this.state === "stop-copy" && target.startsWith("pre-copy")) {
      throw new Error("a kernel before 7.1 spins here for ever, and locks up a CPU");
    }
    let path: readonly MigrationState[];
    try {
      path = migrationPath(this.state, target, this.settings);
    } catch (error) {
      if (VfmigError.is(error)) return { errno: no("EINVAL") };
      throw error;
    }
    let fd = -1;
    for (const next of path) {
      const outcome = this.#step(next);
      if (typeof outcome === "number") return { errno: outcome };
      fd = outcome.fd;
    }
    return { fd: fd < 0 && this.settings.strayFd === true ? this.#io.eventfd() : fd };
  }

  reset(): void {
    this.#end();
    this.state = "running";
  }

  #step(next: MigrationState): number | { readonly fd: number } {
    const { fails } = this.settings;
    if (fails?.at === next) {
      this.state = fails.lost ? "error" : "stop";
      this.#end();
      return no("EIO");
    }
    if (this.state === "resuming") {
      const failed = this.#commit();
      if (failed !== 0) return failed;
    }
    const saving = (state: MigrationState): boolean => /copy/.test(state);
    const goesOn = saving(this.state) && saving(next) && this.#session !== undefined;
    if (!goesOn) this.#end();
    this.state = next;
    if (goesOn || !(saving(next) || next === "resuming")) return { fd: -1 };
    const file = new DataFile(this, this.#trace, this.#memory);
    this.#session = file;
    return { fd: this.#io.installDevice(file) };
  }

  #commit(): number {
    const given = this.#session?.given ?? [];
    if (given.length !== this.size) return no("EINVAL");
    this.#memory.set(given.slice(HEADER.length));
    return 0;
  }

  #end(): void {
    if (this.#session !== undefined) this.#session.dead = true;
    this.#session = undefined;
  }
}

/** The data descriptor of a session. */
class DataFile implements FakeDevice {
  readonly #driver: VariantDriver;
  readonly #trace: Trace;
  readonly #memory: Uint8Array;
  readonly given: number[] = [];
  dead = false;
  #sent = 0;

  constructor(driver: VariantDriver, trace: Trace, memory: Uint8Array) {
    this.#driver = driver;
    this.#trace = trace;
    this.#memory = memory;
  }

  ioctl(request: number, argument: Uint8Array | number): number {
    this.#trace.note("data", request);
    if (request !== MIGRATION_DATA.GET_PRECOPY_INFO.number) return no("ENOTTY");
    if (this.dead || !this.#driver.state.startsWith("pre-copy")) return no("EINVAL");
    const view = taken(argument, 24);
    if (view === undefined) return no("EINVAL");
    view.setUint32(4, this.#driver.reinit ? 1 : 0, true);
    view.setBigUint64(8, BigInt(Math.max(0, HEADER.length - this.#sent)), true);
    view.setBigUint64(16, 0n, true);
    return 0;
  }

  read(into: Uint8Array): number {
    if (this.dead) return no("ENODEV");
    const early = this.#driver.state.startsWith("pre-copy");
    const all = [...HEADER, ...this.#memory];
    const end = early ? HEADER.length : all.length;
    const part = all.slice(this.#sent, Math.min(end, this.#sent + into.length));
    if (part.length === 0 && early) return this.#driver.settings.mtty === true ? 0 : no("ENOMSG");
    into.set(part);
    this.#sent += part.length;
    return part.length;
  }

  write(from: Uint8Array): number {
    if (this.dead) return no("ENODEV");
    // One byte less than given where there is more: writers have to go on.
    const part = from.length > 2 ? from.subarray(0, from.length - 1) : from;
    if (this.given.length + part.length > this.#driver.size) return no("ENOMEM");
    const wrong = [...part].some((byte, i) => {
      const wanted = HEADER[this.given.length + i];
      return wanted !== undefined && wanted !== byte;
    });
    if (!wrong || this.#driver.settings.mtty === true) this.given.push(...part);
    return wrong ? no("EFAULT") : part.length;
  }
}
