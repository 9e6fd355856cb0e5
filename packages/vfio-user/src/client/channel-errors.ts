import { VfmigError } from "@vfmig/core";
import { commandName } from "../codec/commands.ts";
import { describeErrno } from "../codec/errno.ts";
import type { Message } from "../transport/message.ts";

/** The server's error reply. `what` says where, such as `region 0, offset 0x10`. */
export function remoteError(message: Message, what: string | undefined): VfmigError {
  const name = commandName(message.command);
  return new VfmigError(
    "ERR_VFMIG_VFIO_USER_REMOTE",
    `vfio-user: the server answered ${name}${inBrackets(what)} with ${describeErrno(message.errno)}; its log says why`,
    { layer: "vfio-user", details: { command: name, errno: message.errno } },
  );
}

/** What a reader of replies threw: the server's fault, whatever it is. */
export function asReplyError(error: unknown, command: number): VfmigError {
  if (VfmigError.is(error) && error.code === "ERR_VFMIG_VFIO_USER_REMOTE") return error;
  const name = commandName(command);
  const text = error instanceof Error ? error.message : String(error);
  return new VfmigError(
    "ERR_VFMIG_VFIO_USER_PROTOCOL",
    `vfio-user: the server's reply to ${name} makes no sense: ${text}`,
    { layer: "vfio-user", details: { command: name }, cause: error },
  );
}

export function timeoutError(
  command: number,
  what: string | undefined,
  limitMs: number,
): VfmigError {
  const name = commandName(command);
  return new VfmigError(
    "ERR_VFMIG_VFIO_USER_TIMEOUT",
    `vfio-user: no answer to ${name}${inBrackets(what)} within ${limitMs} ms; the server may be busy with another client`,
    { layer: "vfio-user", details: { command: name, limitMs } },
  );
}

/** A call that the end of the connection leaves without answer. */
export function unansweredError(command: number, reason: VfmigError | undefined): VfmigError {
  const name = commandName(command);
  return new VfmigError(
    "ERR_VFMIG_VFIO_USER_CLOSED",
    `vfio-user: ${name} gets no answer, since the connection has ended: ${reason?.message ?? ""}`,
    { layer: "vfio-user", details: { command: name }, cause: reason },
  );
}

/** Why a connection has ended that neither side broke. */
export function closedError(text: string): VfmigError {
  return new VfmigError("ERR_VFMIG_VFIO_USER_CLOSED", `vfio-user: ${text}`, {
    layer: "vfio-user",
  });
}

function inBrackets(what: string | undefined): string {
  return what === undefined ? "" : ` (${what})`;
}
