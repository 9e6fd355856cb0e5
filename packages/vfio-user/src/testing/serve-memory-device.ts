import { createLinuxIo } from "@vfmig/linux";
import { createVfioUserServer } from "../server/server.ts";
import { adjustableDevice } from "./adjustable-device.ts";
import { MemoryDevice } from "./memory-device.ts";

// A process of its own that serves a memory device: node serve-memory-device.ts <socket path> [kind].
// Kinds: plain; host-events, which has ERR and REQ; adjustable, whose layouts change.
const [path = "", kind = "plain"] = process.argv.slice(2);
const io = createLinuxIo();
const device =
  kind === "adjustable"
    ? (await adjustableDevice(io.memfd("bar", 4096 + 16_384))).device
    : new MemoryDevice({ hostEvents: kind === "host-events" });
const server = createVfioUserServer({ io, device, path });
process.stdout.write("ready\n");
process.stdin.on("end", () => void server.close());
process.stdin.resume();
await server.closed;
