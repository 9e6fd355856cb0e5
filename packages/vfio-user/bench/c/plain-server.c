// What the same messages cost in C without a protocol: nothing is checked, no device is behind it. It reads each
// message as libvfio-user does, its header with recvmsg and then the rest, blocking, and answers each by one sendmsg.
//
//   plain-server PATH
//
// Answers REGION_READ and MIG_DATA_READ with as many bytes as were asked for, out of one buffer; maps and unmaps
// the memory of DMA_MAP; keeps the last eventfd of SET_IRQS and signals it on a REGION_WRITE at 0x100; answers a
// dirty report by a copy of a flat bitmap that it clears. Build: cc -O2 -o plain-server plain-server.c
#include "common.h"

static char in[ROOM], out[ROOM], data[ROOM];
static char bitmap[1 << 20];

static int receive(int s, char *into, size_t length, int *fd) {
  for (size_t got = 0; got < length;) {
    struct iovec vector = {into + got, length - got};
    char control[CMSG_SPACE(16 * sizeof(int))];
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = fd ? control : NULL,
                             .msg_controllen = fd ? sizeof(control) : 0};
    ssize_t count = recvmsg(s, &message, MSG_CMSG_CLOEXEC);
    if (count == 0) return 0;
    if (count < 0) fail("recvmsg");
    if (fd && message.msg_controllen >= CMSG_LEN(sizeof(int))) memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
    got += (size_t)count;
  }
  return 1;
}

static size_t answer(struct header *head, int fd) {
  static int event = -1;
  static char *mapped;
  uint32_t field[8];
  uint64_t size;
  memcpy(field, in + HEADER, sizeof(field));
  switch (head->command) {
    case 1:
      memcpy(out + HEADER, in + HEADER, head->size - HEADER);
      return head->size - HEADER;
    case 2:
      memcpy(&size, in + HEADER + 24, 8);
      mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
      if (mapped == MAP_FAILED) fail("mmap");
      close(fd);
      return 0;
    case 3:
      memcpy(&size, in + HEADER + 16, 8);
      munmap(mapped, size);
      memcpy(out + HEADER, in + HEADER, 24);
      return 24;
    case 8:
      if (event >= 0) close(event);
      event = fd;
      return 0;
    case 9:
      memcpy(out + HEADER, in + HEADER, 16);
      memcpy(out + HEADER + 16, data, field[3]);
      return 16 + field[3];
    case 10:
      memcpy(data, in + HEADER + 16, field[3]);
      memcpy(out + HEADER, in + HEADER, 16);
      if (field[0] == 0x100 && event >= 0) eventfd_write(event, 1);
      return 16;
    case 17:
      memcpy(out + HEADER + 8, data, field[1]);
      return 8 + field[1];
    case 16: {
      size_t bytes = field[0] - 32;
      memcpy(out + HEADER, in + HEADER, 32);
      memcpy(out + HEADER + 32, bitmap, bytes);
      memset(bitmap, 0, bytes);
      return 32 + bytes;
    }
    default:
      return 0;
  }
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, argv[1], sizeof(address.sun_path) - 1);
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0) fail("bind");
  if (listen(listener, 1) < 0) fail("listen");
  printf("ready\n");
  fflush(stdout);
  int s = accept(listener, NULL, NULL);
  if (s < 0) fail("accept");
  for (;;) {
    int fd = -1;
    if (!receive(s, in, HEADER, &fd)) return 0;
    struct header head;
    memcpy(&head, in, sizeof(head));
    if (head.size > HEADER && !receive(s, in + HEADER, head.size - HEADER, NULL)) return 0;
    size_t payload = answer(&head, fd);
    if (head.flags & NO_REPLY) continue;
    head.flags = 1;
    head.size = (uint32_t)(HEADER + payload);
    memcpy(out, &head, sizeof(head));
    send_all(s, out, head.size, -1);
  }
}
