/**
 * Client of the socket benchmark for machines without a C compiler: the same exchange and the same figures as
 * c/echo-client.c, blocking through this package's calls.
 *
 * Run: node echo-client.ts PATH COUNT BYTES
 */
import { createLinuxIo } from "@vfmig/linux";

const [path = "", rounds = "100000", size = "32"] = process.argv.slice(2);
const count = Number(rounds);
const bytes = Number(size);
const io = createLinuxIo();
const fd = io.connect(path);
const request = new Uint8Array(bytes);
const reply = new Uint8Array(bytes);
const noFds: number[] = [];

function exchange(): void {
  io.send(fd, request, 0, bytes, noFds);
  for (let got = 0; got < bytes;) {
    io.waitReadable(fd, 1e6);
    const more = io.receive(fd, reply, got, bytes - got, noFds);
    if (more === 0) throw new Error("the server has gone");
    got += Math.max(0, more);
  }
}

const times = new Float64Array(count);
for (let left = count / 10; left > 0; left--) exchange();
const start = performance.now();
let before = start;
for (let at = 0; at < count; at++) {
  exchange();
  const after = performance.now();
  times[at] = (after - before) * 1000;
  before = after;
}
times.sort();
const at = (part: number): number => times[Math.floor((count - 1) * part)] ?? 0;
const perSecond = count / ((before - start) / 1000);
console.log(JSON.stringify({ count, p50: at(0.5), p99: at(0.99), max: at(1), perSecond }));
