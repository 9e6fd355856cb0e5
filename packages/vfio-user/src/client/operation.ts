import type { Message } from "../transport/message.ts";
import type { RequestBuffer } from "../exchange/request-buffer.ts";

/** One command with what is particular to it; runs through the channel with or without waiting. */
export interface Operation<T> {
  readonly command: number;
  /** What and where, for errors: `region 0, offset 0x10`. */
  readonly what?: string;
  readonly fds?: readonly number[];
  /** Writes the payload; returns its length in bytes. */
  readonly write: (out: RequestBuffer) => number;
  /** Reads a reply without error. It must copy what it keeps, and take out the fds that it wants. */
  readonly read: (message: Message) => T;
}

/** For replies that are a header only. */
export function nothing(): void {}
