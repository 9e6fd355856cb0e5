/**
 * Server of the socket benchmark, as the vfio-user server works: one thread, event loop, this package's calls.
 * Answers each request of a fixed size with as many bytes; serves one client and ends with it.
 *
 * Run: node echo-server.ts PATH BYTES return|bounded
 */
import { createLinuxIo, receiveSoon, type Watch } from "@vfmig/linux";

const [path = "", size = "32", mode = "bounded"] = process.argv.slice(2);
const bytes = Number(size);

/** Messages after which the event loop gets a turn, whatever the client does. */
const MESSAGES_PER_TURN = 256;

const io = createLinuxIo();
const buffer = new Uint8Array(65_536);
const fds: number[] = [];
const listener = io.listen(path);

/** Answers every request that is complete; returns how many bytes stay. */
function answer(filled: number): number {
  let done = 0;
  while (filled - done >= bytes) {
    let sent = 0;
    while (sent < bytes) {
      const count = io.send(client, buffer, done + sent, bytes - sent, fds);
      if (count < 0) io.waitWritable(client, 1e6);
      else sent += count;
    }
    done += bytes;
  }
  if (done > 0 && done < filled) buffer.copyWithin(0, done, filled);
  return filled - done;
}

let client = -1;
let filled = 0;
let serving: Watch | undefined;

function serve(): void {
  for (let messages = 0; messages < MESSAGES_PER_TURN; messages++) {
    const room = buffer.length - filled;
    const count =
      mode === "bounded" && messages > 0
        ? receiveSoon(io, client, buffer, filled, room, fds)
        : io.receive(client, buffer, filled, room, fds);
    if (count < 0) return;
    if (count === 0) {
      serving?.[Symbol.dispose]();
      return;
    }
    filled = answer(filled + count);
    if (mode === "return") return;
  }
}

const accepting = io.watch(listener, () => {
  client = io.accept(listener);
  if (client < 0) return;
  accepting[Symbol.dispose]();
  serving = io.watch(client, serve);
});
console.log("ready");
