import { expect, test } from "vitest";
import { fuzz } from "./fuzz.ts";

test("hostile clients leave a server that is alive, clean and right", async () => {
  const messages = Number(process.env["VFMIG_FUZZ_RUNS"] ?? "10000");
  const seed = Number(process.env["VFMIG_FUZZ_SEED"] ?? Date.now() % 1_000_000);
  console.info(`fuzz: seed ${seed}, ${messages} messages`);
  const report = await fuzz({ seed, messages });
  expect(report.messages).toBeGreaterThanOrEqual(messages);
}, 3_600_000);
