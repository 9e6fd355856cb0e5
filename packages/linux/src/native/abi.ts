/**
 * Numbers and layouts of Linux for x86-64 and arm64, which agree on all of these (both LP64 and little
 * endian). Sources: `include/uapi` of the kernel, `linux/socket.h`, and the C libraries' headers; musl
 * declares `msg_iovlen`, `msg_controllen` and `cmsg_len` as 32 bits with 32 bits of padding, which reads
 * the same in little endian.
 */

/** `bits/socket.h`. */
export const AF_UNIX = 1;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SO_SNDBUF = 7;
export const SO_PEERCRED = 17;
export const SO_SNDBUFFORCE = 32;
export const SCM_RIGHTS = 1;
export const SHUT_RDWR = 2;
export const MSG_CTRUNC = 0x08;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_CMSG_CLOEXEC = 0x4000_0000;

/** `struct sockaddr_un`: family u16 at 0, path at 2, 110 bytes. */
export const SOCKADDR_UN = { family: 0, path: 2, size: 110 } as const;

/** `struct msghdr`: 64-bit fields except `msg_namelen` (u32 at 8) and `msg_flags` (s32 at 48). */
export const MSGHDR = {
  iov: 16,
  iovlen: 24,
  control: 32,
  controllen: 40,
  flags: 48,
  size: 56,
} as const;

/** `struct iovec`. */
export const IOVEC = { base: 0, length: 8, size: 16 } as const;

/** `struct cmsghdr`: length (with header) u64, level s32, type s32, data; each padded to 8. */
export const CMSGHDR = { length: 0, level: 8, type: 12, data: 16 } as const;

/** `struct ucred`: pid, uid, gid, 32 bits each. */
export const UCRED_SIZE = 12;

/** `struct pollfd`: fd s32, events s16 at 4, revents s16 at 6. `struct timespec`: two s64. */
export const POLLFD_SIZE = 8;
export const POLLIN = 0x1;
export const POLLOUT = 0x4;
export const POLLNVAL = 0x20;

/** `struct epoll_event`: events u32 at 0; 12 bytes on x86-64 (packed), 16 on arm64. */
export const EPOLL_EVENT_SIZE = 16;
export const EPOLL_CLOEXEC = 0o2000000;
export const EPOLL_CTL_ADD = 1;

/** `sys/eventfd.h`. */
export const EFD_NONBLOCK = 0o4000;
export const EFD_CLOEXEC = 0o2000000;

/** `linux/memfd.h`, `linux/fcntl.h`. */
export const MFD_CLOEXEC = 1;
export const MFD_ALLOW_SEALING = 2;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const F_DUPFD_CLOEXEC = 1030;
export const F_ADD_SEALS = 1033;
export const F_GET_SEALS = 1034;
export const F_SEAL_SHRINK = 2;
export const F_SEAL_GROW = 4;
export const O_RDONLY = 0;
export const O_RDWR = 2;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;

/** `linux/if_tun.h`; `struct ifreq` of `linux/if.h`: name, then flags u16. */
export const TUNSETIFF = 0x4004_54ca;
export const IFF_TAP = 0x0002;
export const IFF_NO_PI = 0x1000;
export const IFREQ = { name: 0, flags: 16, size: 40 } as const;

/** `asm-generic/mman-common.h`. */
export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const MAP_SHARED = 1;

/** `bits/dlfcn.h`. */
export const RTLD_LAZY = 1;
export const RTLD_NOLOAD = 4;
export const RTLD_NODELETE = 0x1000;

/** `asm-generic/resource.h`. `struct rlimit`: soft u64, hard u64. */
export const RLIMIT_MEMLOCK = 8;
export const RLIMIT_SIZE = 16;
