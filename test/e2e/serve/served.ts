import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Child } from "../machine/child.ts";
import { within } from "../run/time-limit.ts";
import type { DeviceEntry } from "./configurations.ts";

const cli = fileURLToPath(new URL("../../../packages/cli/bin/vfmig.js", import.meta.url));
const modules = fileURLToPath(new URL("../../node_modules", import.meta.url));

/** Beginning of the names of the trace files. */
const TRACE = "trace";
/** Bytes of a trace that are shown. */
const TRACE_SHOWN = 3000;

/** What `vfmig serve --json` says of a device. */
export interface ServedDevice {
  readonly name: string;
  readonly socketPath: string;
  readonly base: { readonly name: string };
  readonly driver: { readonly name: string } | null;
  readonly qemu: readonly string[];
}

/** Devices that `vfmig serve` serves; ended in order when this is disposed. */
export class Served implements AsyncDisposable {
  readonly child: Child;
  readonly devices: readonly ServedDevice[];
  /** Folder of the configuration. */
  readonly folder: string;

  #traceAtEnd: string | undefined;

  private constructor(child: Child, devices: readonly ServedDevice[], folder: string) {
    this.child = child;
    this.devices = devices;
    this.folder = folder;
  }

  /**
   * Writes a configuration of these devices and serves it. `{folder}` in an option is the configuration's.
   * @param more further words for `vfmig serve`
   * @param traced false where the writing of traces would spoil what is measured
   */
  static async start(
    entries: readonly DeviceEntry[],
    more: readonly string[] = [],
    traced = true,
  ): Promise<Served> {
    const folder = await mkdtemp(join(tmpdir(), "vfmig-e2e-"));
    await symlink(modules, join(folder, "node_modules"));
    const text = JSON.stringify({ devices: entries }).replaceAll("{folder}", folder);
    await writeFile(join(folder, "vfmig.config.json"), text);
    const words = [
      cli,
      "serve",
      "--config",
      folder,
      "--json",
      "--verbose",
      ...(traced ? ["--trace", join(folder, TRACE)] : []),
      ...more.map((word) => word.replaceAll("{folder}", folder)),
    ];
    const child = new Child(process.execPath, words);
    try {
      const line = await within(30_000, "vfmig serve", firstLine(child));
      const { devices } = JSON.parse(line) as { devices?: readonly ServedDevice[] };
      if (devices === undefined) throw new Error(`vfmig serve failed: ${line}`);
      return new Served(child, devices, folder);
    } catch (error) {
      await child.kill();
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** @throws if there is no such device */
  device(name: string): ServedDevice {
    const found = this.devices.find((device) => device.name === name);
    if (found === undefined) throw new Error(`vfmig serve told of no device ${name}`);
    return found;
  }

  /** Processes of the devices, in no order. */
  async devicePids(): Promise<number[]> {
    const { pid } = this.child.process;
    const list = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
    return list.trim().split(" ").filter(Boolean).map(Number);
  }

  /** The last vfio-user messages of every device. */
  get trace(): string {
    return this.#traceAtEnd ?? this.devices.map(({ name }) => this.#traceOf(name)).join("\n");
  }

  #traceOf(device: string): string {
    const file = join(this.folder, `${TRACE}.${device}`);
    if (!existsSync(file)) return `${device}: no trace`;
    return `${device}: ...${readFileSync(file, "utf8").slice(-TRACE_SHOWN)}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.end === undefined) this.child.process.kill("SIGTERM");
    const how = await within(10_000, "vfmig serve's end", this.child.exited).catch(String);
    await this.child.kill();
    this.#traceAtEnd ??= this.trace;
    await rm(this.folder, { recursive: true, force: true });
    // A server that was killed leaves its sockets.
    for (const { socketPath } of this.devices) {
      await rm(dirname(socketPath), { recursive: true, force: true });
    }
    if (how !== "exited with 0" && how !== "was ended by SIGKILL") {
      throw new Error(`vfmig serve ${how} when it was asked to stop\n${this.child.stderr.trim()}`);
    }
  }
}

async function firstLine(child: Child): Promise<string> {
  const line = new Promise<string>((resolve) => {
    child.process.stdout.on("data", () => {
      const end = child.stdout.indexOf("\n");
      if (end >= 0) resolve(child.stdout.slice(0, end));
    });
  });
  const death = child.exited.then((how): never => {
    throw new Error(`vfmig serve ${how}\n${child.stdout.trim()}\n${child.stderr.trim()}`);
  });
  return Promise.race([line, death]);
}
