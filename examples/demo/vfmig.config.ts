import { defineConfig } from "@vfmig/core";

// Two hosts, each with a model of an Intel 700-series VF. The plugin is chosen by name: without the
// `driver` lines the devices would run on their bases alone, and could not be moved.
export default defineConfig({
  devices: [
    {
      name: "source",
      base: {
        package: "@vfmig/testkit/i40e-vf-model",
        options: { mac: "00:00:00:00:00:00", vsiId: 18 },
      },
      driver: { package: "@vfmig/plugin-i40e" },
    },
    {
      name: "target",
      // Another PF: it numbers its VSIs otherwise, gives the VF another MAC, and takes its time.
      base: {
        package: "@vfmig/testkit/i40e-vf-model",
        options: { vsiId: 525, mac: "02:00:00:00:00:77", adminMac: false, pfReplyDelayMs: 0.2 },
      },
      driver: { package: "@vfmig/plugin-i40e" },
    },
  ],
  scenario: {
    package: "@vfmig/testkit/move-scenario",
    options: { capture: "real-traffic.pcap", guestMac: "02:00:00:00:00:0a" },
  },
});
