import { VfmigError } from "@vfmig/core";
import type { IrqRequest } from "@vfmig/core";
import type { Operation } from "./operation.ts";
import { setIrqs } from "./operations.ts";

const NO_VALUES = new Uint8Array(0);

/**
 * The messages for one request. A message carries an fd for each of its vectors or for none, and no more
 * than `maxFds`; so events are split into runs.
 * @throws VfmigError `ERR_VFMIG_VFIO_USER_UNSUPPORTED` for an event without fd, or a server that takes none
 */
export function irqOperations(request: IrqRequest, maxFds: number): readonly Operation<void>[] {
  const { index, start, count, action, data } = request;
  if (data.kind !== "event") {
    const values = data.kind === "bool" ? data.values : NO_VALUES;
    return [setIrqs({ index, start, count, action, kind: data.kind, values }, [])];
  }
  const operations: Operation<void>[] = [];
  if (maxFds === 0 && data.events.some((event) => event !== undefined)) {
    throw unsupported(request, start, "the server takes no descriptors (max_msg_fds 0)");
  }
  for (let at = 0; at < count;) {
    const fds = run(request, at, maxFds);
    const length = fds.length > 0 ? fds.length : emptyRun(request, at);
    const piece = { index, start: start + at, count: length, action, kind: "event" } as const;
    operations.push(setIrqs({ ...piece, values: NO_VALUES }, fds));
    at += length;
  }
  return operations;
}

/** Fds of the vectors from `at` on, up to the first without event. */
function run(request: IrqRequest, at: number, limit: number): number[] {
  const fds: number[] = [];
  if (request.data.kind !== "event") return fds;
  for (let i = at; i < request.count && fds.length < limit; i += 1) {
    const event = request.data.events[i];
    if (event === undefined) break;
    if (event.fd === undefined) {
      throw unsupported(request, request.start + i, "its event has no eventfd");
    }
    fds.push(event.fd);
  }
  return fds;
}

/** Vectors without event from `at` on. */
function emptyRun(request: IrqRequest, at: number): number {
  if (request.data.kind !== "event") return request.count;
  let end = at;
  while (end < request.count && request.data.events[end] === undefined) end += 1;
  return end - at;
}

function unsupported({ index }: IrqRequest, vector: number, why: string): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_VFIO_USER_UNSUPPORTED",
    `vfio-user: cannot set vector ${vector} of irq index ${index}: ${why}`,
    { layer: "vfio-user", details: { index, vector } },
  );
}
