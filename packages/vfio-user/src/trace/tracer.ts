import type { Clock } from "@vfmig/core";
import type { NativeIo } from "@vfmig/linux";
import { COMMAND } from "../codec/commands.ts";
import { describeErrno } from "../codec/errno.ts";
import type { Message } from "../transport/message.ts";
import { describeReply, describeRequest, Fields, shortName } from "./describe-message.ts";

/** Takes the lines of a trace, without line ends. */
export type TraceSink = (line: string) => void;

/** A request of which the answer is still to come. */
interface Open {
  readonly id: number;
  readonly command: number;
  readonly text: string;
}

/**
 * Writes the messages of one client, one line for each exchange: seconds since the connection, direction
 * (`>` to the server, `<` to the client), what is asked, `=>` and the answer where it says something. A
 * command that is answered later has a line when it comes, ending in `...`, and one when it is answered.
 */
export class Tracer {
  readonly #sink: TraceSink;
  readonly #clock: Clock;
  readonly #io: NativeIo;
  readonly #from: number;
  #current: Open | undefined;
  readonly #asked = new Map<number, string>();

  constructor(sink: TraceSink, clock: Clock, io: NativeIo) {
    this.#sink = sink;
    this.#clock = clock;
    this.#io = io;
    this.#from = clock.now();
  }

  /** Something other than a message. */
  note(text: string): void {
    this.#line(`-- ${text}`);
  }

  /** A command has come, and is about to be served. */
  begin(message: Message): void {
    const { id, command, noReply, fds } = message;
    const text = describeRequest(command, new Fields(message.payload()), noReply);
    const full = `${text}${this.#describeFds(fds)}`;
    if (!noReply) this.#current = { id, command, text: full };
    else this.#line(`> ${full}${text.startsWith("WR*") ? "" : " no_reply"}`);
  }

  /** The handler of the command has returned; if it did not answer, it will. */
  end(): void {
    const current = this.#current;
    if (current === undefined) return;
    this.#current = undefined;
    this.#line(`> ${current.text} #${current.id} ...`);
  }

  /** A reply goes out. */
  answered(id: number, command: number, payload: Uint8Array, fds: readonly number[]): void {
    const said = describeReply(command, new Fields(payload));
    const arrow = command === COMMAND.REGION_READ ? " " : "  =>  ";
    this.#answer(id, command, `${said}${this.#describeFds(fds)}`.trimStart(), arrow);
  }

  refused(id: number, command: number, errno: number): void {
    this.#answer(id, command, `error ${describeErrno(errno)}`, "  =>  ");
  }

  /** A request of the server goes out. */
  asks(id: number, command: number, payload: Uint8Array): void {
    this.#asked.set(id, describeRequest(command, new Fields(payload), false));
  }

  /** The client's answer to one of these has come. */
  replied(message: Message): void {
    const text = this.#asked.get(message.id) ?? `${shortName(message.command)} that nobody asked`;
    this.#asked.delete(message.id);
    const said = message.isError
      ? `error ${describeErrno(message.errno)}`
      : describeReply(message.command, new Fields(message.payload()));
    this.#line(`< ${text}${said === "" ? "" : `  =>  ${said}`}`);
  }

  #answer(id: number, command: number, said: string, arrow: string): void {
    const current = this.#current;
    const end = said === "" ? "" : `${arrow}${said}`;
    if (current?.id === id && current.command === command) {
      this.#current = undefined;
      this.#line(`> ${current.text}${end}`);
      return;
    }
    this.#line(`= ${shortName(command)} #${id}${end}`);
  }

  #describeFds(fds: readonly number[]): string {
    if (fds.length === 0) return "";
    return ` fds=[${fds.map((fd) => this.#io.status(fd).kind).join(",")}]`;
  }

  #line(text: string): void {
    const seconds = (this.#clock.now() - this.#from) / 1000;
    this.#sink(`${seconds.toFixed(6).padStart(11)} ${text}`);
  }
}
