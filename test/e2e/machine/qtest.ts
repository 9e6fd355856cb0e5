import { PeerGone, type LineSocket } from "./line-socket.ts";

/** QEMU's qtest protocol: the test does what processor and driver would do. */
export class Qtest {
  readonly #line: LineSocket;
  readonly #waiting: PromiseWithResolvers<string>[] = [];

  constructor(line: LineSocket) {
    this.#line = line;
    line.onLine((text) => {
      // Interrupt lines are told between answers, if somebody asked for them.
      if (!text.startsWith("IRQ")) this.#waiting.shift()?.resolve(text);
    });
    line.onClose(() => {
      for (const { reject } of this.#waiting.splice(0)) reject(new PeerGone("QEMU is gone"));
    });
  }

  connected(): Promise<void> {
    return this.#line.connected();
  }

  async out(port: number, value: number, size: 1 | 2 | 4): Promise<void> {
    await this.#ask(`out${PORT_SIZE[size]} ${hex(port)} ${hex(value)}`);
  }

  async in(port: number, size: 1 | 2 | 4): Promise<number> {
    return Number(await this.#ask(`in${PORT_SIZE[size]} ${hex(port)}`));
  }

  /** A load of the processor, `size` bytes wide. */
  async load(address: number, size: 1 | 2 | 4 | 8 = 4): Promise<bigint> {
    return BigInt(await this.#ask(`read${MEMORY_SIZE[size]} ${hex(address)}`));
  }

  async store(address: number, value: number | bigint, size: 1 | 2 | 4 | 8 = 4): Promise<void> {
    await this.#ask(`write${MEMORY_SIZE[size]} ${hex(address)} ${hex(value)}`);
  }

  async load32(address: number): Promise<number> {
    return Number(await this.load(address, 4));
  }

  /** Bytes of the guest's memory. */
  async read(address: number, length: number): Promise<Buffer> {
    const answer = await this.#ask(`read ${hex(address)} ${hex(length)}`);
    return Buffer.from(answer.slice(2), "hex");
  }

  async write(address: number, bytes: Uint8Array): Promise<void> {
    const text = Buffer.from(bytes).toString("hex");
    await this.#ask(`write ${hex(address)} ${hex(bytes.length)} 0x${text}`);
  }

  async #ask(words: string): Promise<string> {
    const asked = Promise.withResolvers<string>();
    this.#waiting.push(asked);
    this.#line.send(words);
    const answer = await asked.promise;
    if (!answer.startsWith("OK")) throw new Error(`qtest: ${words.slice(0, 60)}: ${answer}`);
    return answer.slice(3);
  }
}

const PORT_SIZE = { 1: "b", 2: "w", 4: "l" } as const;
const MEMORY_SIZE = { 1: "b", 2: "w", 4: "l", 8: "q" } as const;

function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}
