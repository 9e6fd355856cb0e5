import { VfmigError } from "@vfmig/core";
import type { DeviceProcess } from "../device-process/device-process.ts";
import type { Host } from "../host.ts";
import { deviceNamed } from "../replacing/replacer.ts";

/** A request, as far as the routes look at it. */
export interface ControlRequest {
  readonly method: string;
  /** Path without a query. */
  readonly path: string;
  /** The body, parsed; undefined where there is none. */
  readonly body: unknown;
}

/** Version of the answers' shape. */
const SCHEMA_VERSION = 1;

/**
 * Serves one request of the control socket and gives what is answered as JSON.
 * @throws VfmigError `ERR_VFMIG_HOST_CONTROL` with `details.status` for a request that is none, or why it failed
 */
export async function serveRequest(host: Host, request: ControlRequest): Promise<object> {
  const [root, name, verb, ...more] = request.path.split("/").slice(1).map(decoded);
  if (root !== "devices" || more.length > 0) throw notFound(request);
  if (name === undefined || (name === "" && verb === undefined)) {
    allow(request, "GET");
    return { schemaVersion: SCHEMA_VERSION, devices: host.devices.map(facts) };
  }
  if (verb === undefined) {
    allow(request, "GET");
    const device = deviceNamed(host.devices, name);
    return { schemaVersion: SCHEMA_VERSION, ...facts(device), status: await device.status() };
  }
  if (verb !== "replace") throw notFound(request);
  allow(request, "POST");
  const entry = entryOf(request.body);
  const device = deviceNamed(host.devices, name);
  const { outcome } = await host.replace(name, entry);
  return { schemaVersion: SCHEMA_VERSION, ...facts(device), outcome };
}

function facts(device: DeviceProcess): object {
  const { name, entry, identity, mode, doorbells, socketPath, pid } = device;
  return { name, entry, identity, mode, doorbells, socketPath, pid };
}

function entryOf(body: unknown): string {
  const keys = typeof body === "object" && body !== null ? Object.keys(body) : [];
  if (keys.length === 1 && typeof body === "object" && body !== null && "with" in body) {
    if (typeof body.with === "string" && body.with !== "") return body.with;
  }
  throw badRequest('the body must be {"with": "ENTRY"}, an entry of the configuration');
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw badRequest("the path is not encoded as a URL's");
  }
}

function allow({ method, path }: ControlRequest, allowed: string): void {
  if (method === allowed) return;
  throw badRequest(`${path} takes ${allowed}, not ${method}`, 405);
}

function notFound({ path }: ControlRequest): VfmigError {
  const known = "/devices, /devices/NAME and /devices/NAME/replace";
  return badRequest(`nothing is served at ${path}; ${known} are`, 404);
}

/** @param status - HTTP's */
export function badRequest(why: string, status = 400): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_HOST_CONTROL",
    `A request to the control socket cannot be served: ${why}.`,
    { layer: "host", details: { status } },
  );
}
