/** A fault that the server can allow for, where its owner says that the client has it. */
export type ClientQuirk = "qemu-10.2-dma";

/** What one peer does other than the specification, or than one would think. */
export interface PeerFault {
  readonly peer: string;
  readonly versions: string;
  /** Which side of the connection the peer is. */
  readonly role: "client" | "server";
  readonly does: string;
  /** How it is recognised, or why it cannot be. */
  readonly recognised: string;
  /** What the user has to do; empty where nothing. */
  readonly user: string;
  /** What this package does about it. */
  readonly here: string;
}

/** Peers' faults, as they were seen on the wire or read in their sources. */
export const PEER_FAULTS: readonly PeerFault[] = [
  {
    peer: "QEMU",
    versions: "10.1, 10.2",
    role: "client",
    does: "puts the data of DMA_READ and DMA_WRITE 4 bytes early, so that DMA by messages corrupts memory",
    recognised:
      "not by VERSION, which is that of 11.1; when the device first reads shared memory, the page by message shows it, and the log says so",
    user: 'give the guest `memory-backend-memfd,share=on`; else serve it with `clientQuirks: ["qemu-10.2-dma"]`, which 11.1 refuses (E2BIG)',
    here: "the option, never guessed",
  },
  {
    peer: "QEMU",
    versions: "all so far (11.1.3)",
    role: "client",
    does: "sends the file of memory that the guest has privately (`share=off`): the device would read what nobody wrote",
    recognised:
      "the page that the device reads first is compared with the same page by message (`checkSharing`)",
    user: "`share=on` on the memory backend",
    here: "`ERR_VFMIG_VFIO_USER_PRIVATE_MEMORY`, and every further request is refused",
  },
  {
    peer: "QEMU",
    versions: "10.1 to 11.1.3",
    role: "client",
    does: "completes `migrate` without asking the device for its state, so that the device is lost",
    recognised: "not at all: no message is sent",
    user: "move the guest with `vfmig`, not with `migrate` alone",
    here: "nothing can be done on this socket",
  },
  {
    peer: "QEMU",
    versions: "10.1 to 11.1.3",
    role: "client",
    does: "fails at a VERSION reply longer than its request (214 bytes), at `max_msg_fds` above 16, and takes its own capabilities where the reply has none",
    recognised: "needless",
    user: "",
    here: "replies name only what the client named, never more than 16 fds, and always have a JSON text",
  },
  {
    peer: "QEMU",
    versions: "10.1, 10.2",
    role: "client",
    does: "queues everything once `write_multiple` is offered (a wrong flag)",
    recognised: "not by VERSION",
    user: "",
    here: "REGION_WRITE_MULTI is served, but offered only with `writeMultiple: true`",
  },
  {
    peer: "QEMU",
    versions: "10.1 to 11.1.3",
    role: "client",
    does: "fails with `short read of header` when a header comes in two pieces, and aborts at silence or EOF in the negotiation",
    recognised: "needless",
    user: "",
    here: "a message goes out in one call; VERSION is always answered",
  },
  {
    peer: "QEMU",
    versions: "10.1 to 11.1.3",
    role: "client",
    does: "aborts at `device_del` of a device with MSI-X once the guest has let go of it: its `vfio_user_msix_teardown` takes the PBA out of a BAR that is freed already (`subregion->container == mr`)",
    recognised: "not at all",
    user: "remove such a device with its machine only",
    here: "the device is reset, and free for the next client, also one that plugs it into a running guest; with that one call taken out of 11.1.3 by hand, a guest's VF is unplugged and plugged in again under traffic",
  },
  {
    peer: "QEMU",
    versions: "11.1.3",
    role: "client",
    does: "never connects again after the server's end",
    recognised: "not at all",
    user: "end the guest and start it anew",
    here: "nothing can be done on this socket",
  },
  {
    peer: "QEMU",
    versions: "11.1.3",
    role: "client",
    does: "aborts if its server dies while a request is on its way; between requests it lives on, and reads all ones",
    recognised: "not at all",
    user: "end or pause the guest before `vfmig serve` ends",
    here: "nothing can be done on this socket",
  },
  {
    peer: "QEMU's migration branch (issue 824 of libvfio-user)",
    versions: "not released",
    role: "client",
    does: "pads MIG_DATA_READ requests to the size of the reply, asks for pre-copy sizes with command 19",
    recognised: "by the length, by the number",
    user: "",
    here: "both are served",
  },
  {
    peer: "Cloud Hypervisor, Rust crate vfio_user",
    versions: "0.1.3 (crate)",
    role: "client",
    does: "takes a command of the server for a reply, so a DMA message breaks it",
    recognised: "its VERSION names neither `pgsizes` nor `max_dma_maps`",
    user: "`memory shared=on`",
    here: "`checkSharing: auto` sends it no DMA message",
  },
  {
    peer: "Cloud Hypervisor, Rust crate vfio_user",
    versions: "0.1.3 (crate)",
    role: "client",
    does: "looks at no error flag and waits for the rest of a reply for ever; wants region info with capabilities to be exactly as long as argsz says",
    recognised: "needless",
    user: "",
    here: "indexes that a PCI device has are answered without error, replies have the fixed sizes",
  },
  {
    peer: "Cloud Hypervisor",
    versions: "2026-08",
    role: "client",
    does: "resets the device only if the server does *not* say that it can (an inverted test)",
    recognised: "not at all",
    user: "",
    here: "a device is reset when its client goes, so the next one finds it clean",
  },
  {
    peer: "Cloud Hypervisor, Rust crate vfio_user",
    versions: "0.1.3 (crate)",
    role: "client",
    does: "says `max_msg_fds` 1 and sends up to 16 fds with SET_IRQS; asks GET_INFO with argsz 32; repeats a request with the same id",
    recognised: "needless",
    user: "",
    here: "16 fds are taken from everybody, argsz may be larger, ids may repeat",
  },
  {
    peer: "Rust crate vfio_user",
    versions: "0.1.3",
    role: "server",
    does: "answers most errors with errno 0, and has other flag bits in DMA_UNMAP (2 dirty pages, 4 all)",
    recognised: "by errno 0 in an error reply; the flags not at all",
    user: "unmap range by range there, not all at once",
    here: "errno 0 with the error flag is an error",
  },
  {
    peer: "libvfio-user",
    versions: "all so far (2026-06)",
    role: "server",
    does: "loses the stream at a request larger than one socket buffer (36.5 KB) when it reads while the client still writes",
    recognised: "its VERSION lacks our own capability",
    user: "",
    here: "state is written in pieces of 32 KiB to servers other than this one",
  },
  {
    peer: "libvfio-user",
    versions: "all so far (2026-06)",
    role: "server",
    does: "hangs for ever at DMA_LOGGING_REPORT with pages smaller than the log's, over 256 pages or more; takes only ranges that begin where a mapping begins",
    recognised: "not at all",
    user: "ask with the page size that `start` granted, mapping by mapping",
    here: "this server takes any range and page size, and reads holes as clean",
  },
  {
    peer: "libvfio-user",
    versions: "all so far (2026-06)",
    role: "server",
    does: "does nothing when one vector is taken away (EVENTFD without fds, start above 0)",
    recognised: "not at all",
    user: "disable the whole index and set the others again",
    here: "this server takes it away",
  },
  {
    peer: "libvfio-user",
    versions: "all so far (2026-06)",
    role: "server",
    does: "sends a payload in some error replies, and zeros behind short reads of device state",
    recognised: "by the length",
    user: "",
    here: "the client takes both",
  },
];
