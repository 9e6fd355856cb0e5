import { threadId } from "node:worker_threads";

/**
 * Names this thread among all of this host: with it, a server recognises a client that would wait for
 * it on its own thread. The start time keeps equal process numbers of two containers apart.
 */
export function threadToken(): string {
  return `${process.pid}.${threadId}.${performance.timeOrigin}`;
}
