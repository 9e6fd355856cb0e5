// Client of the socket benchmarks: sends a request, waits for the reply, and takes the time of each round trip.
//
//   echo-client PATH COUNT REPLY_BYTES REQUEST_HEX [PREAMBLE_HEX...]
//
// REPLY_BYTES 0: each reply gives its own size in the 32 bits at offset 4, as vfio-user's header does.
// Preambles are sent once each, in order, and their replies, which give their own size, are dropped.
// The first tenth of the round trips warms up and is not counted. Prints one JSON object; times in microseconds.
// Build: cc -O2 -o echo-client echo-client.c
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static char buffer[1 << 20];

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static size_t from_hex(const char *hex, unsigned char **bytes) {
  size_t length = strlen(hex) / 2;
  *bytes = malloc(length + 1);
  for (size_t i = 0; i < length; i++) {
    unsigned value;
    if (sscanf(hex + 2 * i, "%2x", &value) != 1) fail("hex");
    (*bytes)[i] = (unsigned char)value;
  }
  return length;
}

static void receive(int fd, size_t wanted) {
  size_t got = 0;
  while (got < (wanted == 0 ? 8 : wanted)) {
    size_t limit = (wanted == 0 ? sizeof(buffer) : wanted) - got;
    ssize_t count = recv(fd, buffer + got, limit, 0);
    if (count <= 0) fail("recv");
    got += (size_t)count;
    if (wanted == 0 && got >= 8) {
      uint32_t size;
      memcpy(&size, buffer + 4, 4);
      if (size < 8 || size > sizeof(buffer)) fail("reply size");
      wanted = size;
    }
  }
}

static void exchange(int fd, const unsigned char *request, size_t length, size_t reply) {
  if (send(fd, request, length, MSG_NOSIGNAL) != (ssize_t)length) fail("send");
  receive(fd, reply);
}

static int compare(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
  if (argc < 5) {
    fprintf(stderr, "usage: echo-client PATH COUNT REPLY_BYTES REQUEST_HEX [PREAMBLE_HEX...]\n");
    return 2;
  }
  size_t count = strtoul(argv[2], NULL, 10), reply = strtoul(argv[3], NULL, 10), warm = count / 10;
  unsigned char *request;
  size_t length = from_hex(argv[4], &request);
  uint32_t *times = calloc(count, sizeof(*times));
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, argv[1], sizeof(address.sun_path) - 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) fail("connect");

  for (int i = 5; i < argc; i++) {
    unsigned char *preamble;
    size_t bytes = from_hex(argv[i], &preamble);
    exchange(fd, preamble, bytes, 0);
  }
  for (size_t i = 0; i < warm; i++) exchange(fd, request, length, reply);
  uint64_t start = now_ns(), before = start;
  for (size_t i = 0; i < count; i++) {
    exchange(fd, request, length, reply);
    uint64_t after = now_ns();
    times[i] = (uint32_t)(after - before);
    before = after;
  }
  double seconds = (double)(before - start) / 1e9;
  qsort(times, count, sizeof(*times), compare);
  printf("{\"count\":%zu,\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f,\"perSecond\":%.0f}\n", count,
         times[count / 2] / 1e3, times[count * 99 / 100] / 1e3, times[count - 1] / 1e3, (double)count / seconds);
  return 0;
}
