import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

test("a million reads and a million writes of 4 bytes leave nothing on the heap", () => {
  const script = fileURLToPath(new URL("../../testing/allocation-process.ts", import.meta.url));
  const young = ["--expose-gc", "--min-semi-space-size=64", "--max-semi-space-size=64"];
  const flags = ["--conditions=@vfmig/source", ...young, script, "1000000"];
  const { stdout } = spawnSync(process.execPath, flags, { encoding: "utf8" });
  const bytes = JSON.parse(stdout) as { read: number; write: number };
  // One object for a hundred accesses would be more.
  expect(bytes.read).toBeLessThan(0.1);
  expect(bytes.write).toBeLessThan(0.1);
}, 60_000);
