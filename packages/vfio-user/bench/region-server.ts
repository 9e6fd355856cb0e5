/**
 * Server of the region benchmark: a small device with a sub-driver composed onto it, which traps another part of
 * the region than the one that is read. Serves until its parent closes its input.
 *
 * Run: node region-server.ts PATH adaptive|none|bounded [bare]
 */
import { compose, defineSubDriver } from "@vfmig/core";
import { createLinuxIo } from "@vfmig/linux";
import { createVfioUserServer } from "@vfmig/vfio-user";
import { createBenchDevice } from "./bench-device.ts";

const [path = "", mode = "adaptive", layers = "composed"] = process.argv.slice(2);

const transparent = defineSubDriver({
  name: "transparent",
  version: "1.0.0",
  apiVersion: "^1.0.0",
  matches: [{ vendor: 0, device: 0 }],
  privileges: [],
  capabilities: {},
  attach: ({ base }) => ({
    regions: [
      {
        index: 0,
        trapped: [{ offset: 0x4000, size: 0x5000 }],
        read: (offset, into) => base.readRegion(0, offset, into),
        write: (offset, from) => base.writeRegion(0, offset, from),
      },
    ],
    async close() {},
  }),
});

const device = createBenchDevice();
const server = createVfioUserServer({
  io: createLinuxIo(),
  device: layers === "bare" ? device : await compose(device, transparent),
  path,
  wait: mode === "bounded" ? {} : mode === "none" ? "none" : "adaptive",
});
process.stdin.on("end", () => void server.close());
process.stdin.resume();
console.log("ready");
await server.closed;
