import { type DeviceConfig, silentLogger } from "@vfmig/core";
import { describe, expect, it } from "vitest";
import { asRecorded } from "./as-recorded.ts";

const entry: DeviceConfig = {
  name: "vf0",
  base: { package: "model" },
  driver: { package: "nic", options: { shadow: "always" }, mode: "active" },
};

function warned(): { readonly lines: string[]; readonly logger: typeof silentLogger } {
  const lines: string[] = [];
  return { lines, logger: { ...silentLogger, warn: (line) => void lines.push(line) } };
}

describe("a driver that replays a recording", () => {
  it("has the options that it was recorded with, and names those that are not the configuration's", () => {
    const { lines, logger } = warned();
    const configured = { package: "nic", options: { shadow: "while-saving" } };
    const taken = asRecorded(entry, { configured }, logger);
    expect(taken.driver).toEqual({
      package: "nic",
      options: { shadow: "while-saving" },
      mode: "active",
    });
    expect(lines).toEqual([expect.stringMatching(/configuration has others: shadow\.$/u)]);
  });

  it("has none where it was recorded without, since a package that takes none is to be given none", () => {
    const configured = { package: "nic", options: {} };
    const taken = asRecorded(entry, { configured }, silentLogger);
    expect(taken.driver).toEqual({ package: "nic", mode: "active" });
  });

  it.each([
    ["the recording does not say", {}],
    ["another package was recorded", { configured: { package: "other", options: { a: 1 } } }],
    ["they are the same", { configured: { package: "nic", options: { shadow: "always" } } }],
  ])("keeps those of the configuration where %s", (_, recording) => {
    const { lines, logger } = warned();
    expect(asRecorded(entry, recording, logger)).toBe(entry);
    expect(lines).toEqual([]);
  });

  it("is not spoken of where it does not run", () => {
    const { lines, logger } = warned();
    const base: DeviceConfig = { ...entry, driver: { package: "nic", mode: "base" } };
    asRecorded(base, { configured: { package: "nic", options: { a: 1 } } }, logger);
    expect(lines).toEqual([]);
  });
});
