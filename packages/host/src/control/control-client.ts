import { VfmigError } from "@vfmig/core/errors";
import { fromWireError } from "../device-process/wire-error.ts";

/** Milliseconds without an answer; a replacement may open a device first. */
const ANSWER_MS = 150_000;

/**
 * Asks a host's control socket.
 * @param body - sent as JSON; absent: none
 * @returns the answer's JSON
 * @throws VfmigError what the host answered with, `ERR_VFMIG_HOST_CONTROL` where nobody answers
 */
export async function askControl(
  socketPath: string,
  method: "GET" | "POST",
  path: string,
  body?: object,
): Promise<Readonly<Record<string, unknown>>> {
  const text = await exchange(socketPath, method, path, body);
  const value = parse(text);
  if (value === undefined) throw unreachable(socketPath, "what answers there is no vfmig host");
  const { error } = value;
  if (error === undefined) return value;
  if (!isError(error)) throw unreachable(socketPath, "what answers there is no vfmig host");
  const { code, layer, message, details } = error;
  const known = typeof code === "string" && typeof layer === "string" ? { code, layer } : {};
  const [, , device = path] = path.split("/");
  throw fromWireError({ name: "Error", message, ...known, details: asRecord(details) }, device);
}

async function exchange(
  socketPath: string,
  method: string,
  path: string,
  body: object | undefined,
): Promise<string> {
  // Not before it is needed: as a module it brings a whole HTTP client and its globals along.
  const { request } = await import("node:http");
  return await new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    const asked = request({ socketPath, method, path, headers, timeout: ANSWER_MS }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => (text += part));
      response.on("end", () => resolve(text));
      response.on("error", (error) => reject(unreachable(socketPath, error.message)));
    });
    asked.on("timeout", () => asked.destroy(new Error(`no answer within ${ANSWER_MS} ms`)));
    asked.on("error", (error) => reject(unreachable(socketPath, error.message)));
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function parse(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return asRecord(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function isError(value: unknown): value is {
  readonly code: unknown;
  readonly layer: unknown;
  readonly message: string;
  readonly details?: unknown;
} {
  return (
    typeof value === "object" &&
    value !== null &&
    "code" in value &&
    "layer" in value &&
    "message" in value &&
    typeof value.message === "string"
  );
}

function unreachable(path: string, why: string): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_HOST_CONTROL",
    `The control socket ${path} gives no answer: ${why}. Start the host with "vfmig serve --control ${path}".`,
    { layer: "host", details: { path } },
  );
}
