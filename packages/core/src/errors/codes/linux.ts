/** Codes thrown by linux; each is documented on the errors page and thrown somewhere (tested). */
export const linuxCodes = {
  ERR_VFMIG_NATIVE_UNAVAILABLE: {
    means: "System calls cannot be made from this process.",
    remedy:
      "Run on Linux (x64 or arm64) with optional dependencies installed, or use the in-memory fake.",
  },
  ERR_VFMIG_SYSTEM_CALL: {
    means: "A system call failed; the error names the call and the errno.",
    remedy: "Look at `details.errno`: it says what the kernel refused.",
  },
  ERR_VFMIG_SOCKET_PATH: {
    means: "A path cannot be the address of a unix socket.",
    remedy:
      "Use a path of 1 to 107 bytes without NUL, for instance in a folder nearer to the root.",
  },
  ERR_VFMIG_FILE_RANGE: {
    means: "A mapping is not aligned, is empty, or reaches past the end of its file.",
    remedy: "Map whole pages inside the file; a peer that asks for more is at fault.",
  },
  ERR_VFMIG_BUFFER_RANGE: {
    means: "The bytes named by offset and length are not inside the buffer, or there are none.",
    remedy:
      "Pass an offset and a length of at least 1 that stay inside a buffer that is not detached.",
  },
  ERR_VFMIG_NOT_EVENTFD: {
    means: "A descriptor that was to carry an interrupt is no eventfd.",
    remedy: "Send an eventfd; a peer that sends anything else is at fault.",
  },
  ERR_VFMIG_FD_PASSING: {
    means: "File descriptors could not be carried with a message.",
    remedy:
      "Send at most 253 with at least one byte; on receipt raise the limit of open files, and close the connection.",
  },
} as const;
