import { defineConfig, type VfmigConfig } from "@vfmig/core";

const model = "@vfmig/testkit/i40e-vf-model";
const size = { queuePairs: 16, vectors: 17, mac: "00:00:00:00:00:00" };

/** The plugins do not stand on the cards, but on what another server makes of them, over vfio-user. */
const config: VfmigConfig = defineConfig({
  devices: [
    ...["source", "target"].map((name) => ({
      name,
      base: { package: "@vfmig/vfio-user/base", options: { device: `${name}-card` } },
      driver: { package: "@vfmig/plugin-i40e" },
    })),
    { name: "source-card", base: { package: model, options: { ...size, vsiId: 18 } } },
    { name: "target-card", base: { package: model, options: { ...size, vsiId: 525 } } },
  ],
  scenario: {
    package: "@vfmig/testkit/move-scenario",
    options: {
      capture: "real-traffic.pcap",
      guestMac: "02:00:00:00:00:0a",
      flowControl: true,
      wires: { source: "source-card", target: "target-card" },
    },
  },
});

export default config;
