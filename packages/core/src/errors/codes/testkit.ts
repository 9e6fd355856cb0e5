/** Codes thrown by testkit; each is documented on the errors page and thrown somewhere (tested). */
export const testkitCodes = {
  ERR_VFMIG_PCAP_FORMAT: {
    means: "A capture file is not a whole, classic pcap file.",
    remedy: "Write it anew as classic pcap with whole frames, such as with tcpdump -s 0 -w.",
  },
  ERR_VFMIG_MAC_ADDRESS: {
    means: "A text is not a MAC address.",
    remedy: "Write six hex bytes with colons, such as 02:00:00:00:00:0a.",
  },
  ERR_VFMIG_TRAFFIC_FRAME: {
    means: "A frame, or the frames of one side, cannot carry sequence trailers.",
    remedy: "Use Ethernet frames of 14 to 1514 bytes, captured with segmentation offloads off.",
  },
  ERR_VFMIG_TRAFFIC_CAPTURE: {
    means: "A capture cannot be played as traffic between a guest and a wire.",
    remedy: "Give an uncut Ethernet capture that holds frames of the guest's MAC and of another.",
  },
  ERR_VFMIG_TRAFFIC_GAPS: {
    means:
      "The sequence numbers of a flow have more gaps than a ledger keeps, or are no valid list.",
    remedy: "Look at the device first: nearly every frame is missing.",
  },
  ERR_VFMIG_TRAFFIC_RATE: {
    means: "A frame rate cannot be paced.",
    remedy: "Give a rate above 0 and up to 10 million frames a second.",
  },
  ERR_VFMIG_WIRE_PROTOCOL: {
    means: "The peer of a wire's socket sent what is no message of the wire protocol.",
    remedy:
      "Join only wires and ports of one vfmig version; the message names the offending bytes.",
  },
  ERR_VFMIG_WIRE_PORT: {
    means: "A wire's port is unknown, in use, or its socket cannot be opened or reached.",
    remedy:
      "Start the device's side first, and give each port a name and a socket path of its own.",
  },
  ERR_VFMIG_WIRE_TAP: {
    means: "A TAP interface of the host cannot be opened.",
    remedy:
      "Run as root, or make it for this user: ip tuntap add NAME mode tap user USER. The message says which.",
  },
  ERR_VFMIG_SWITCH_PORT: {
    means:
      "A port cannot be added to a switch: its name is taken, or the switch has all its ports.",
    remedy: "Give each port a name of its own, or allow the switch more ports.",
  },
  ERR_VFMIG_PCAP_FILE: {
    means: "A capture file cannot be read or written.",
    remedy: "Check the path, which is relative to the configuration's folder, and its permissions.",
  },
  ERR_VFMIG_WIRE_COMMAND: {
    means: "A wire process got a command that is malformed or out of order.",
    remedy: "Send open first, then start, stop, windows and report, as the wire's IPC types say.",
  },
  ERR_VFMIG_TESTKIT_NOT_MOVABLE: {
    means: "The scenario should move a device that cannot be moved, or has nowhere to move it.",
    remedy: "Name a driver with migration for both devices, or run traffic only with --repeat 0.",
  },
  ERR_VFMIG_TESTKIT_INCOMPATIBLE: {
    means: "The target's plugin cannot take what the guest uses on the source.",
    remedy: "Give the target what the reasons name, or choose another target; nothing was stopped.",
  },
  ERR_VFMIG_TESTKIT_GUEST: {
    means: "The simulated guest, or a process around it, failed or met what no sound device does.",
    remedy: "Read the message: it names the driver's fault, which is the plugin's or the model's.",
  },
  ERR_VFMIG_GUEST_FAULT: {
    means: "A simulated guest's driver met what no sound device does, and is broken from then on.",
    remedy: "Look at the driver that ran between guest and device; details.kind says what broke.",
  },
  ERR_VFMIG_GUEST_MEMORY: {
    means: "A simulated guest's memory is too small, not made of whole pages, or replaced wrongly.",
    remedy: "Give whole 4,096-byte pages, and enough: about 3 MiB for each queue pair.",
  },
  ERR_VFMIG_GUEST_USE: {
    means: "A simulated guest was used out of order or with options out of range.",
    remedy: "Start it once, pause it before it is moved, and keep to the ranges of its options.",
  },
  ERR_VFMIG_MODEL_OPTIONS: {
    means: "A device model cannot be made with these options.",
    remedy: "Correct the option that the message names; its range stands beside its type.",
  },
  ERR_VFMIG_MODEL_TABLE: {
    means: "A model's table of configuration space has a field outside it or on another one.",
    remedy: "Correct the offset or size of the field that the message names.",
  },
} as const;
