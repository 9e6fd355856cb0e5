// Shared by the C programs of the benchmarks.
#define _GNU_SOURCE
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { HEADER = 16, NO_REPLY = 0x10, ROOM = 4 << 20 };

struct header {
  uint16_t id, command;
  uint32_t size, flags, error;
};

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static inline uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// Sends all of it, with an fd (or -1) on the first byte.
static inline void send_all(int s, const char *bytes, size_t length, int fd) {
  for (size_t sent = 0; sent < length;) {
    struct iovec out = {(char *)bytes + sent, length - sent};
    struct msghdr message = {.msg_iov = &out, .msg_iovlen = 1};
    char control[CMSG_SPACE(sizeof(int))] = {0};
    if (fd >= 0 && sent == 0) {
      message.msg_control = control;
      message.msg_controllen = sizeof(control);
      struct cmsghdr *c = CMSG_FIRSTHDR(&message);
      c->cmsg_level = SOL_SOCKET;
      c->cmsg_type = SCM_RIGHTS;
      c->cmsg_len = CMSG_LEN(sizeof(int));
      memcpy(CMSG_DATA(c), &fd, sizeof(int));
    }
    ssize_t count = sendmsg(s, &message, MSG_NOSIGNAL);
    if (count <= 0) fail("sendmsg");
    sent += (size_t)count;
  }
}
