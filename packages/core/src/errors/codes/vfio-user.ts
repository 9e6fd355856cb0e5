/** Codes thrown by vfio-user; each is documented on the errors page and thrown somewhere (tested). */
export const vfioUserCodes = {
  ERR_VFMIG_VFIO_USER_PROTOCOL: {
    means:
      "The peer of a vfio-user connection broke the protocol: the connection was ended, or a reply dropped.",
    remedy: "Look at the peer's version; the message names the field that was wrong.",
  },
  ERR_VFMIG_VFIO_USER_VERSION: {
    means: "Client and server of a vfio-user connection found no common version or capabilities.",
    remedy: "Use a peer that speaks vfio-user 0.x and the capabilities that the message names.",
  },
  ERR_VFMIG_VFIO_USER_REQUEST: {
    means: "A vfio-user request was refused because one of its fields cannot be served.",
    remedy: "Correct the request; the message names the field, and its details carry the errno.",
  },
  ERR_VFMIG_VFIO_USER_REMOTE: {
    means: "The other end of a vfio-user connection answered a request with an error.",
    remedy: "Look into its log for the cause; the details carry the command and the errno.",
  },
  ERR_VFMIG_VFIO_USER_CLOSED: {
    means: "The vfio-user connection has ended, so a request cannot be answered.",
    remedy: "Connect again; where the server died, its log says why.",
  },
  ERR_VFMIG_VFIO_USER_TIMEOUT: {
    means: "The other end of a vfio-user connection did not answer in time.",
    remedy:
      "See whether it runs, serves nobody else and takes such requests, or raise the limit that the message names.",
  },
  ERR_VFMIG_VFIO_USER_SAME_THREAD: {
    means:
      "The synchronous view of a vfio-user device was used on the thread that serves the device.",
    remedy:
      "Use the asynchronous methods of the client, or serve the device in another thread or process.",
  },
  ERR_VFMIG_VFIO_USER_OPTIONS: {
    means: "An option of the vfio-user server or client is out of its range.",
    remedy: "Correct the option that the message names.",
  },
  ERR_VFMIG_VFIO_USER_UNSUPPORTED: {
    means: "The other end, or this version of vfmig, does not offer what was asked over vfio-user.",
    remedy: "Do what the message proposes, such as giving the guest file-backed shared memory.",
  },
  ERR_VFMIG_VFIO_USER_PRIVATE_MEMORY: {
    means:
      "A guest runs on a private copy of the memory that its VMM sent, so no device can reach it.",
    remedy:
      "Share the memory: with QEMU, `-object memory-backend-memfd,...,share=on`; then connect anew.",
  },
} as const;
