import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { existsSync } from "node:fs";

/** Every child of this process that still runs; they are ended with it. */
const running = new Set<ChildProcessWithoutNullStreams>();
let guarded = false;

/** Bytes of each stream that are kept for the report of a failure. */
const KEPT = 64 * 1024;
const SETPRIV = "/usr/bin/setpriv";

/** A program that runs beside the tests and ends with them, whatever ends them. */
export class Child {
  readonly process: ChildProcessWithoutNullStreams;
  readonly exited: Promise<string>;
  /** How it ended, such as "exited with 1"; undefined while it runs. */
  end: string | undefined;
  #stdout = "";
  #stderr = "";

  constructor(
    program: string,
    words: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ) {
    guard();
    // The kernel ends it even if this process is killed without a word.
    const [first, ...rest] = existsSync(SETPRIV)
      ? [SETPRIV, "--pdeathsig", "KILL", program, ...words]
      : [program, ...words];
    this.process = spawn(first ?? program, rest, {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...environment },
    });
    running.add(this.process);
    this.process.stdin.on("error", () => {});
    this.process.stdout.on("data", (chunk: Buffer) => {
      this.#stdout = (this.#stdout + chunk.toString("latin1")).slice(-KEPT);
    });
    this.process.stderr.on("data", (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString("latin1")).slice(-KEPT);
    });
    this.exited = new Promise((resolve) => {
      this.process.on("error", (error) =>
        this.#ended(`could not be run: ${error.message}`, resolve),
      );
      this.process.on("close", (code, signal) =>
        this.#ended(
          signal === null ? `exited with ${String(code)}` : `was ended by ${signal}`,
          resolve,
        ),
      );
    });
  }

  /** What it wrote, the last 64 KiB. */
  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Ends it at once and waits for that. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    if (this.end === undefined) this.process.kill(signal);
    await this.exited;
  }

  #ended(how: string, resolve: (how: string) => void): void {
    this.end ??= how;
    running.delete(this.process);
    resolve(this.end);
  }
}

function guard(): void {
  if (guarded) return;
  guarded = true;
  const killAll = (): void => {
    for (const child of running) child.kill("SIGKILL");
  };
  process.once("exit", killAll);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      killAll();
      process.exit(1);
    });
  }
}
