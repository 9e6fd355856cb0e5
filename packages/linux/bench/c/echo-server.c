// Floor of the socket benchmarks: answers each request of a fixed size with a reply of a fixed size,
// blocking, by recvmsg (with room for descriptors) and sendmsg as a vfio-user server must.
//
//   echo-server PATH REQUEST_BYTES REPLY_BYTES
//
// Prints "ready" once it listens, serves one client and ends with it. Build: cc -O2 -o echo-server echo-server.c
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void fail(const char *what) {
  perror(what);
  exit(1);
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: echo-server PATH REQUEST_BYTES REPLY_BYTES\n");
    return 2;
  }
  size_t request_bytes = strtoul(argv[2], NULL, 10);
  size_t reply_bytes = strtoul(argv[3], NULL, 10);
  size_t room = request_bytes > reply_bytes ? request_bytes : reply_bytes;
  char *buffer = calloc(1, room);
  char control[CMSG_SPACE(16 * sizeof(int))];
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, argv[1], sizeof(address.sun_path) - 1);

  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0) fail("bind");
  if (listen(listener, 1) < 0) fail("listen");
  printf("ready\n");
  fflush(stdout);
  int fd = accept(listener, NULL, NULL);
  if (fd < 0) fail("accept");

  for (;;) {
    for (size_t got = 0; got < request_bytes;) {
      struct iovec in = {buffer + got, request_bytes - got};
      struct msghdr message = {.msg_iov = &in, .msg_iovlen = 1, .msg_control = control,
                               .msg_controllen = sizeof(control)};
      ssize_t count = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
      if (count == 0) return 0;
      if (count < 0) fail("recvmsg");
      got += (size_t)count;
    }
    for (size_t sent = 0; sent < reply_bytes;) {
      struct iovec out = {buffer + sent, reply_bytes - sent};
      struct msghdr message = {.msg_iov = &out, .msg_iovlen = 1};
      ssize_t count = sendmsg(fd, &message, MSG_NOSIGNAL);
      if (count < 0) fail("sendmsg");
      sent += (size_t)count;
    }
  }
}
