import type { VfmigConfig } from "@vfmig/core";
import { twoHosts } from "./two-hosts.ts";

const config: VfmigConfig = twoHosts({
  model: "@vfmig/testkit/i40e-vf-model",
  plugin: "@vfmig/plugin-i40e",
  // Each PF numbers its VSIs otherwise.
  source: { vsiId: 18 },
  target: { vsiId: 525 },
});

export default config;
