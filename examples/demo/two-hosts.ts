import { defineConfig, type VfmigConfig } from "@vfmig/core";

interface Family {
  readonly model: string;
  readonly plugin: string;
  /** What tells the two hosts' models apart, besides what every family has. */
  readonly source: Readonly<Record<string, unknown>>;
  readonly target: Readonly<Record<string, unknown>>;
}

/**
 * Two hosts, each with a model of a VF. The plugin is chosen by name: without the `driver` lines the
 * devices would run on their bases alone, and could not be moved.
 */
export function twoHosts({ model, plugin, source, target }: Family): VfmigConfig {
  // Only models are known to take the descriptors that a hand-back needs.
  const driver = { package: plugin, options: { handBack: true } };
  // As many as such a VF can have; `--queues` says how many the guest takes.
  const size = { queuePairs: 16, vectors: 17 };
  return defineConfig({
    devices: [
      {
        name: "source",
        base: { package: model, options: { ...size, mac: "00:00:00:00:00:00", ...source } },
        driver,
      },
      {
        name: "target",
        // Another PF: it gives the VF another MAC, and takes its time.
        base: {
          package: model,
          options: {
            ...size,
            mac: "02:00:00:00:00:77",
            adminMac: false,
            pfReplyDelayMs: 0.2,
            ...target,
          },
        },
        driver,
      },
    ],
    scenario: {
      package: "@vfmig/testkit/move-scenario",
      options: {
        capture: "real-traffic.pcap",
        guestMac: "02:00:00:00:00:0a",
        // A guest that gets too little of a busy machine then makes frames late, and not lost.
        flowControl: true,
      },
    },
  });
}
