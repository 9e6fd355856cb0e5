import type { VfmigError } from "@vfmig/core";
import { COMMAND } from "../codec/commands.ts";
import { REGION_ACCESS } from "../codec/region-access.ts";
import { exactPayload } from "../codec/wire.ts";
import type { Message } from "../transport/message.ts";
import { asReplyError, remoteError } from "./channel-errors.ts";

/** Up to this many bytes a loop is faster than a view of the source. */
const SMALL = 16;

/**
 * The region access of which the answer is waited for. There is one at a time, and it allocates nothing:
 * a guest's CPU stands still behind it.
 */
export class AccessSlot {
  error: VfmigError | undefined;
  #id = -1;
  #command = 0;
  #region = 0;
  #offset = 0;
  #into: Uint8Array | undefined;

  /** Waits for the reply with this id; the data of a read go to `into`. */
  open(id: number, command: number, region: number, offset: number, into: Uint8Array): void {
    this.error = undefined;
    this.#id = id;
    this.#command = command;
    this.#region = region;
    this.#offset = offset;
    this.#into = into;
  }

  get waiting(): boolean {
    return this.#id >= 0;
  }

  get id(): number {
    return this.#id;
  }

  get command(): number {
    return this.#command;
  }

  /** For messages to people. */
  get what(): string {
    return `region ${this.#region}, offset 0x${this.#offset.toString(16)}, ${this.#into?.length ?? 0} bytes`;
  }

  /** Takes the reply. */
  settle(message: Message): void {
    this.#id = -1;
    try {
      if (message.isError) throw remoteError(message, this.what);
      if (this.#command === COMMAND.REGION_READ && this.#into !== undefined) {
        copyRegionData(message, this.#into);
      }
    } catch (error) {
      this.error = asReplyError(error, message.command);
    }
  }

  fail(error: VfmigError): void {
    this.#id = -1;
    this.error = error;
  }
}

/** Copies the data of a REGION_READ reply. @throws VfmigError where there are more or fewer */
export function copyRegionData(message: Message, into: Uint8Array): void {
  exactPayload("reply to VFIO_USER_REGION_READ", message.length, REGION_ACCESS.DATA + into.length);
  const from = message.at + REGION_ACCESS.DATA;
  if (into.length > SMALL) {
    into.set(message.bytes.subarray(from, from + into.length));
    return;
  }
  for (let i = 0; i < into.length; i += 1) into[i] = message.bytes[from + i] ?? 0;
}
