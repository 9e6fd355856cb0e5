// Client of the benchmarks, blocking. Prints one JSON object; times in microseconds.
//
//   client PATH TEST COUNT VERSION_HEX A_HEX [B_HEX]
//
// TEST: round-trip  A, then wait for its reply; with B both in turn, and the time of each
//       memory      as round-trip, with the fd of 2 MiB of memory beside A (DMA_MAP and DMA_UNMAP)
//       event       as round-trip, with an eventfd beside A (SET_IRQS)
//       flight:N    A over and over, N of them unanswered at any time
//       posted      A over and over, which has no reply; B at the end, whose reply says that all were served
//       interrupt   A once with an eventfd; then B, which has no reply, and wait for the event
// HEX+N stands for the bytes and N zeros behind them. A tenth is run before as a warm-up. Build: cc -O2 -o client client.c
#include "common.h"

static char in[ROOM];
static size_t held;

static size_t from_hex(const char *hex, char **bytes) {
  size_t length = strcspn(hex, "+") / 2;
  size_t zeros = hex[length * 2] == '+' ? strtoul(hex + length * 2 + 1, NULL, 10) : 0;
  *bytes = calloc(1, length + zeros + 1);
  for (size_t i = 0; i < length; i++) {
    unsigned value;
    if (sscanf(hex + 2 * i, "%2x", &value) != 1) fail("hex");
    (*bytes)[i] = (char)value;
  }
  return length + zeros;
}

// Takes as many replies as one read brings, at least one; returns how many.
static size_t receive(int s) {
  size_t replies = 0;
  for (;;) {
    ssize_t count = recv(s, in + held, sizeof(in) - held, 0);
    if (count <= 0) fail("recv");
    held += (size_t)count;
    size_t at = 0;
    while (held - at >= HEADER) {
      struct header head;
      memcpy(&head, in + at, sizeof(head));
      if (head.flags & 0x20) {
        fprintf(stderr, "command %u refused: errno %u\n", head.command, head.error);
        exit(1);
      }
      if (head.size > sizeof(in)) fail("reply size");
      if (held - at < head.size) break;
      at += head.size;
      replies++;
    }
    if (at > 0 && at < held) memmove(in, in + at, held - at);
    held -= at;
    if (replies > 0) return replies;
  }
}

static int compare(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

struct message {
  char *bytes;
  size_t length;
};

static double run_flight(int s, struct message a, size_t count, size_t window) {
  uint64_t start = now_ns();
  size_t sent = 0, got = 0;
  while (got < count) {
    while (sent < count && sent - got < window) {
      send_all(s, a.bytes, a.length, -1);
      sent++;
    }
    got += receive(s);
  }
  return (double)count / ((double)(now_ns() - start) / 1e9);
}

static double run_posted(int s, struct message a, struct message b, size_t count) {
  uint64_t start = now_ns();
  for (size_t i = 0; i < count; i++) send_all(s, a.bytes, a.length, -1);
  send_all(s, b.bytes, b.length, -1);
  receive(s);
  return (double)count / ((double)(now_ns() - start) / 1e9);
}

static void print_times(const char *name, uint32_t *times, size_t count, double sum) {
  qsort(times, count, sizeof(*times), compare);
  printf("\"%s\":{\"p50\":%.3f,\"p99\":%.3f,\"perSecond\":%.0f}", name, times[count / 2] / 1e3,
         times[count * 99 / 100] / 1e3, (double)count / (sum / 1e9));
}

static void run_round_trips(int s, struct message a, struct message b, size_t count, int fd) {
  uint32_t *first = calloc(count, sizeof(*first)), *second = calloc(count, sizeof(*second));
  double sums[2] = {0, 0};
  size_t warm = count / 10;
  for (size_t i = 0; i < warm + count; i++) {
    uint64_t start = now_ns();
    send_all(s, a.bytes, a.length, fd);
    receive(s);
    uint64_t middle = now_ns(), end = middle;
    if (b.length > 0) {
      send_all(s, b.bytes, b.length, -1);
      receive(s);
      end = now_ns();
    }
    if (i < warm) continue;
    first[i - warm] = (uint32_t)(middle - start);
    second[i - warm] = (uint32_t)(end - middle);
    sums[0] += (double)(middle - start);
    sums[1] += (double)(end - middle);
  }
  printf("{");
  print_times("a", first, count, sums[0]);
  if (b.length > 0) {
    printf(",");
    print_times("b", second, count, sums[1]);
  }
  printf("}\n");
}

static void run_interrupts(int s, struct message a, struct message b, size_t count) {
  int event = eventfd(0, EFD_CLOEXEC);
  send_all(s, a.bytes, a.length, event);
  receive(s);
  uint32_t *times = calloc(count, sizeof(*times));
  size_t warm = count / 10;
  double sum = 0;
  for (size_t i = 0; i < warm + count; i++) {
    uint64_t start = now_ns();
    send_all(s, b.bytes, b.length, -1);
    // A server may make the event non-blocking, as it must not block itself; so wait apart from reading.
    struct pollfd wanted = {event, POLLIN, 0};
    eventfd_t value;
    if (poll(&wanted, 1, -1) < 0 || eventfd_read(event, &value) < 0) fail("eventfd");
    if (i < warm) continue;
    times[i - warm] = (uint32_t)(now_ns() - start);
    sum += times[i - warm];
  }
  printf("{");
  print_times("a", times, count, sum);
  printf("}\n");
}

int main(int argc, char **argv) {
  if (argc < 6) return 2;
  const char *test = argv[2];
  size_t count = strtoul(argv[3], NULL, 10);
  struct message version, a, b = {NULL, 0};
  version.length = from_hex(argv[4], &version.bytes);
  a.length = from_hex(argv[5], &a.bytes);
  if (argc > 6) b.length = from_hex(argv[6], &b.bytes);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, argv[1], sizeof(address.sun_path) - 1);
  int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (s < 0 || connect(s, (struct sockaddr *)&address, sizeof(address)) < 0) fail("connect");
  send_all(s, version.bytes, version.length, -1);
  receive(s);

  if (strncmp(test, "flight:", 7) == 0) {
    size_t window = strtoul(test + 7, NULL, 10);
    run_flight(s, a, count / 10, window);
    printf("{\"a\":{\"perSecond\":%.0f}}\n", run_flight(s, a, count, window));
  } else if (strcmp(test, "posted") == 0) {
    run_posted(s, a, b, count / 10);
    printf("{\"a\":{\"perSecond\":%.0f}}\n", run_posted(s, a, b, count));
  } else if (strcmp(test, "interrupt") == 0) {
    run_interrupts(s, a, b, count);
  } else {
    int fd = -1;
    if (strcmp(test, "memory") == 0) {
      fd = memfd_create("bench", MFD_CLOEXEC);
      if (ftruncate(fd, 2 << 20) < 0) fail("ftruncate");
    }
    if (strcmp(test, "event") == 0) fd = eventfd(0, EFD_CLOEXEC);
    run_round_trips(s, a, b, count, fd);
  }
  return 0;
}
