import { defineConfig } from "@vfmig/core";

// One VF for a guest under QEMU. Its frames go to the network interface vftap0 of this host, which is
// made if it is not there; that needs root or CAP_NET_ADMIN.
export default defineConfig({
  devices: [
    {
      name: "vf0",
      base: {
        package: "@vfmig/testkit/i40e-vf-model",
        options: {
          mac: "02:00:00:00:00:0a",
          vsiId: 18,
          wire: { kind: "tap", name: "vftap0" },
        },
      },
      driver: { package: "@vfmig/plugin-i40e" },
    },
  ],
});
