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
    means: "The sequence numbers of a flow have more gaps than a ledger keeps, or are no valid list.",
    remedy: "Look at the device first: nearly every frame is missing.",
  },
  ERR_VFMIG_TRAFFIC_RATE: {
    means: "A frame rate cannot be paced.",
    remedy: "Give a rate above 0 and up to 10 million frames a second.",
  },
  ERR_VFMIG_WIRE_PROTOCOL: {
    means: "The peer of a wire's socket sent what is no message of the wire protocol.",
    remedy: "Join only wires and ports of one vfmig version; the message names the offending bytes.",
  },
  ERR_VFMIG_WIRE_PORT: {
    means: "A wire's port is unknown, in use, or its socket cannot be opened or reached.",
    remedy: "Start the device's side first, and give each port a name and a socket path of its own.",
  },
  ERR_VFMIG_WIRE_COMMAND: {
    means: "A wire process got a command that is malformed or out of order.",
    remedy: "Send open first, then start, stop, windows and report, as the wire's IPC types say.",
  },
} as const;
