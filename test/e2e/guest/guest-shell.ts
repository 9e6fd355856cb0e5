import { PeerGone, type LineSocket } from "../machine/line-socket.ts";
import type { QemuMachine } from "../machine/qemu-machine.ts";

export interface ShellResult {
  readonly code: number;
  readonly output: string;
}

const COMMAND_LIMIT_MS = 30_000;
const BOOT_LIMIT_MS = 60_000;

/** The shell of a guest: one command after the other, each with its output and code. */
export class GuestShell {
  readonly #line: LineSocket;
  readonly #machine: QemuMachine;
  #lines: string[] = [];
  #onLine: ((text: string) => void) | undefined;
  #next = 1;
  #boots = 0;
  #awaited: { marker: string; waiter: PromiseWithResolvers<ShellResult> } | undefined;
  #boot: { count: number; waiter: PromiseWithResolvers<void> } | undefined;

  constructor(line: LineSocket, machine: QemuMachine) {
    this.#line = line;
    this.#machine = machine;
    line.onLine((text) => this.#receive(text.replace(/\r$/u, "")));
    line.onClose(() => this.#fail(new PeerGone("QEMU is gone")));
    machine.child.process.stdout.on("data", () => {
      if (!machine.child.stdout.includes("Kernel panic")) return;
      this.#fail(new Error(`the guest's kernel panicked:\n${machine.child.stdout.slice(-3000)}`));
    });
  }

  /** Waits for the shell of the guest's first boot, or of its `count`th. */
  async ready(count = 1): Promise<void> {
    if (this.#boots >= count) return;
    const waiter = Promise.withResolvers<void>();
    this.#boot = { count, waiter };
    await this.#machine.whileAlive(BOOT_LIMIT_MS, "the guest's shell", waiter.promise);
  }

  /** Runs a command; whatever its code. `onLine` hears each line of its output as it comes. */
  async try(
    command: string,
    limitMs: number = COMMAND_LIMIT_MS,
    onLine?: (text: string) => void,
  ): Promise<ShellResult> {
    if (this.#awaited !== undefined) throw new Error("the guest's shell is still at work");
    this.#onLine = onLine;
    const waiter = Promise.withResolvers<ShellResult>();
    const marker = `@@${this.#next++}`;
    this.#lines = [];
    this.#awaited = { marker, waiter };
    this.#line.send(`{ ${command}\n} </dev/null >&3 2>&1; printf '\\n%s %s\\n' "${marker}" $? >&3`);
    try {
      return await this.#machine.whileAlive(limitMs, `"${command}" in the guest`, waiter.promise);
    } catch (error) {
      const told = this.#lines.join("\n").trim();
      if (told !== "" && error instanceof Error) error.message += `\nIt had told:\n${told}`;
      throw error;
    } finally {
      this.#awaited = undefined;
      this.#onLine = undefined;
    }
  }

  /**
   * Runs a command and returns what it printed.
   * @throws if its code is not 0
   */
  async run(command: string, limitMs?: number): Promise<string> {
    const { code, output } = await this.try(command, limitMs);
    if (code === 0) return output;
    throw new Error(`In the guest "${command}" ended with ${code}:\n${output}`);
  }

  /** Asks the guest to do something after which no answer comes, such as to reboot. */
  send(command: string): void {
    this.#line.send(command);
  }

  #receive(text: string): void {
    if (text.endsWith("@@ready")) {
      this.#boots += 1;
      if (this.#boot !== undefined && this.#boots >= this.#boot.count) this.#boot.waiter.resolve();
      return;
    }
    const awaited = this.#awaited;
    if (awaited !== undefined && text.startsWith(`${awaited.marker} `)) {
      const code = Number(text.slice(awaited.marker.length + 1));
      awaited.waiter.resolve({ code, output: this.#lines.join("\n").trim() });
    } else {
      this.#lines.push(text);
      this.#onLine?.(text);
    }
  }

  #fail(error: Error): void {
    this.#awaited?.waiter.reject(error);
    this.#boot?.waiter.reject(error);
  }
}
