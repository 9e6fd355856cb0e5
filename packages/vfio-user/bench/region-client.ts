/**
 * Client of the region benchmark: 4-byte reads through the synchronous view, then posted writes. Prints one JSON
 * object; times in microseconds.
 *
 * Run: node region-client.ts PATH COUNT [EMPTY_READS]
 */
import { createLinuxIo } from "@vfmig/linux";
import { connectVfioUser } from "@vfmig/vfio-user";

const [path = "", rounds = "100000", emptyReads = "0"] = process.argv.slice(2);
const count = Number(rounds);
const client = await connectVfioUser({
  io: createLinuxIo(),
  path,
  wait: { emptyReads: Number(emptyReads) },
});
const { device } = client;
const word = new Uint8Array(4);
const times = new Float64Array(count);

for (let left = count / 10; left > 0; left--) device.readRegion(0, 0x100, word);
const start = performance.now();
let before = start;
for (let at = 0; at < count; at++) {
  device.readRegion(0, 0x100, word);
  const after = performance.now();
  times[at] = (after - before) * 1000;
  before = after;
}
const perSecond = count / ((before - start) / 1000);
times.sort();
const at = (part: number): number => times[Math.floor((count - 1) * part)] ?? 0;

for (let left = count / 10; left > 0; left--) device.writeRegion(0, 0x100, word);
device.readRegion(0, 0x100, word);
const posting = performance.now();
for (let left = count; left > 0; left--) device.writeRegion(0, 0x100, word);
// The answer to a read says that all writes before it have been served.
device.readRegion(0, 0x100, word);
const postedPerSecond = count / ((performance.now() - posting) / 1000);
await client.close();
console.log(JSON.stringify({ count, p50: at(0.5), p99: at(0.99), perSecond, postedPerSecond }));
