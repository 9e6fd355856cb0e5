import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { chmod, rm } from "node:fs/promises";
import { connect } from "node:net";
import { VfmigError } from "@vfmig/core";
import { checkSocketPath, socketError } from "../sockets/check-socket-path.ts";
import { toWireError } from "../device-process/wire-error.ts";
import type { Host } from "../host.ts";
import { badRequest, serveRequest } from "./routes.ts";

/** Bytes of a request's body; a replacement's has a few dozen. */
const MAX_BODY = 64 * 1024;
/** Milliseconds that a client has to send a request. */
const REQUEST_MS = 10_000;

/** Where a host takes requests; disposing it ends them and removes the socket. */
export interface ControlServer extends AsyncDisposable {
  readonly path: string;
}

/**
 * Serves a host's control socket: HTTP and JSON over a unix socket that only this user may open.
 *
 * - `GET /devices`, `GET /devices/NAME` (with the driver's own status)
 * - `POST /devices/NAME/replace` with `{"with": "ENTRY"}`
 *
 * Answers of 400 and above have `{"schemaVersion": 1, "error": {code, layer, message, details}}`.
 * @throws VfmigError `ERR_VFMIG_HOST_SOCKET` where no socket can be, or another process listens
 */
export async function openControl(host: Host, path: string): Promise<ControlServer> {
  // Not before it is needed: as a module it brings a whole HTTP client and its globals along.
  const { createServer } = await import("node:http");
  await checkSocketPath("The control socket", path);
  const server = createServer((request, response) => void answer(host, request, response));
  server.requestTimeout = REQUEST_MS;
  server.headersTimeout = REQUEST_MS;
  try {
    await listen(server, path);
    await chmod(path, 0o600);
  } catch (error) {
    server.close();
    const why = error instanceof Error ? error.message : String(error);
    const remedy = `nobody can listen there (${why}). Stop whoever listens, or name another path.`;
    throw socketError("The control socket", path, remedy, error);
  }
  return {
    path,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** A socket that a host left behind which was killed is removed; one that is in use is not. */
async function listen(server: Server, path: string): Promise<void> {
  // Nobody else may open it between its making and the change of its mode.
  const before = process.umask(0o177);
  try {
    const listening = once(server);
    server.listen(path);
    await listening;
  } catch (error) {
    if (codeOf(error) !== "EADDRINUSE" || (await isServed(path))) throw error;
    await rm(path, { force: true });
    const listening = once(server);
    server.listen(path);
    await listening;
  } finally {
    process.umask(before);
  }
}

function once(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (end: () => void): void => {
      server.off("listening", onListening).off("error", onError);
      end();
    };
    const onListening = (): void => settle(resolve);
    const onError = (error: Error): void => settle(() => reject(error));
    server.on("listening", onListening).on("error", onError);
  });
}

function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (served: boolean): void => {
      socket.destroy();
      resolve(served);
    };
    socket.once("connect", () => settle(true));
    // Whatever is no socket is not ours to remove.
    socket.once("error", (error) => settle(codeOf(error) !== "ECONNREFUSED"));
  });
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

async function answer(
  host: Host,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const { method = "", url = "/" } = request;
    const [path = "/"] = url.split("?");
    const body = await bodyOf(request);
    send(response, 200, await serveRequest(host, { method, path, body }));
  } catch (error) {
    const { code = null, layer = null, message, details = {} } = toWireError(error);
    send(response, statusOf(error), {
      schemaVersion: 1,
      error: { code, layer, message, details },
    });
  }
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request) {
    if (!Buffer.isBuffer(part)) continue;
    size += part.length;
    if (size > MAX_BODY) throw badRequest(`its body has more than ${MAX_BODY} bytes`, 413);
    parts.push(part);
  }
  if (size === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(parts).toString("utf8"));
  } catch {
    throw badRequest("its body is no JSON");
  }
}

/** Requests that were wrong are 400 to 413, devices that are not there 404, and what a device refuses 409. */
function statusOf(error: unknown): number {
  if (!VfmigError.is(error)) return 500;
  if (error.code === "ERR_VFMIG_HOST_NO_DEVICE") return 404;
  if (error.code === "ERR_VFMIG_HOST_DEVICE_PROCESS") return 500;
  if (error.code !== "ERR_VFMIG_HOST_CONTROL") return 409;
  const { status } = error.details;
  return typeof status === "number" ? status : 400;
}

function send(response: ServerResponse, status: number, value: object): void {
  const text = JSON.stringify(value, (_key, each: unknown) =>
    typeof each === "bigint" ? `0x${each.toString(16)}` : each,
  );
  response.writeHead(status, { "content-type": "application/json", connection: "close" });
  response.end(`${text}\n`);
}
