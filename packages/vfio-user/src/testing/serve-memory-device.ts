import { createLinuxIo } from "@vfmig/linux";
import { createVfioUserServer } from "../server/server.ts";
import { MemoryDevice } from "./memory-device.ts";

// A process of its own that serves a memory device: node serve-memory-device.ts <socket path>.
const path = process.argv[2] ?? "";
const server = createVfioUserServer({ io: createLinuxIo(), device: new MemoryDevice(), path });
process.stdout.write("ready\n");
process.stdin.on("end", () => void server.close());
process.stdin.resume();
await server.closed;
