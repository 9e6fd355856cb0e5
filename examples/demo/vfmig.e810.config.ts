import type { VfmigConfig } from "@vfmig/core";
import { twoHosts } from "./two-hosts.ts";

const config: VfmigConfig = twoHosts({
  model: "@vfmig/testkit/e810-vf-model",
  plugin: "@vfmig/plugin-e810",
  source: {},
  target: {},
});

export default config;
