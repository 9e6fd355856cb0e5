import { ERROR_CODES, VfmigError, type Layer, type VfmigErrorCode } from "@vfmig/core/errors";
import type { WireError } from "./protocol.ts";

/** Makes an error fit for the channel between processes; causes become part of the message. */
export function toWireError(error: unknown): WireError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const message = withCauses(error);
  if (!VfmigError.is(error)) return { name: error.name, message };
  return {
    name: error.name,
    message,
    code: error.code,
    layer: error.layer,
    details: error.details,
  };
}

/** The error on this side of the channel, with the code and layer of the other. */
export function fromWireError(wire: WireError, device: string): Error {
  const { code, layer } = wire;
  if (code !== undefined && layer !== undefined && Object.hasOwn(ERROR_CODES, code)) {
    return new VfmigError(code as VfmigErrorCode, wire.message, {
      layer: layer as Layer,
      details: { ...wire.details, device },
    });
  }
  return new VfmigError(
    "ERR_VFMIG_HOST_DEVICE_PROCESS",
    `The process of device "${device}" reported ${wire.name}: ${wire.message}. This is a fault in vfmig, the base or the plugin; please report it with the log.`,
    { layer: "host", details: { device } },
  );
}

function withCauses(error: Error): string {
  const parts = [error.message];
  let cause = error.cause;
  for (let depth = 0; cause instanceof Error && depth < 5; depth += 1) {
    if (!parts.some((part) => part.includes((cause as Error).message))) parts.push(cause.message);
    cause = cause.cause;
  }
  return parts.join(" Cause: ");
}
