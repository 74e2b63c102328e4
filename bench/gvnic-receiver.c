/*
 * Receives into device memory what is bound already: recvmsg(2) with MSG_SOCK_DEVMEM, and tokens given
 * back as netmem does, 1024 at most and 128 ranges at most with one call. One connection after the other.
 * Usage: receiver PORT CONNECTIONS. Prints the bytes that came in host memory.
 */
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* K: include/uapi/asm-generic/socket.h, include/uapi/linux/uio.h */
enum { SCM_LINEAR = 78, SCM_DMABUF = 79, DONTNEED = 80, SOCK_DEVMEM = 0x2000000 };
enum { BYTES = 512 * 1024, FRAGS = 128, RANGES = 128, TOKENS = 1024 };

struct frag { uint64_t offset; uint32_t bytes, token, dmabuf, flags; };
struct range { uint32_t start, count; };

static struct range ranges[RANGES];
static int range_count, tokens;

static void give_back(int fd) {
  if (range_count == 0) return;
  if (setsockopt(fd, SOL_SOCKET, DONTNEED, ranges, range_count * sizeof *ranges) < 0) {
    perror("SO_DEVMEM_DONTNEED");
    exit(1);
  }
  range_count = tokens = 0;
}

static void release(int fd, uint32_t token) {
  struct range *last = ranges + range_count - 1;
  if (range_count > 0 && token == last->start + last->count) last->count++;
  else {
    if (range_count == RANGES) give_back(fd);
    ranges[range_count++] = (struct range){token, 1};
  }
  if (++tokens == TOKENS) give_back(fd);
}

static uint64_t receive(int fd) {
  static char bytes[BYTES], control[FRAGS * CMSG_SPACE(sizeof(struct frag))];
  uint64_t linear = 0;
  for (;;) {
    struct iovec iov = {bytes, BYTES};
    struct msghdr message = {0};
    message.msg_iov = &iov;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t got = recvmsg(fd, &message, SOCK_DEVMEM);
    if (got < 0) {
      perror("recvmsg");
      exit(1);
    }
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (got == 0 && header == NULL) break;
    for (; header != NULL; header = CMSG_NXTHDR(&message, header)) {
      struct frag frag;
      memcpy(&frag, CMSG_DATA(header), sizeof frag);
      if (header->cmsg_type == SCM_DMABUF) release(fd, frag.token);
      else linear += frag.bytes;
    }
    give_back(fd);
  }
  give_back(fd);
  return linear;
}

int main(int count, char **args) {
  if (count != 3) return 2;
  int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(args[1]))};
  if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 8) < 0) {
    perror("listen");
    return 1;
  }
  uint64_t linear = 0;
  for (int left = atoi(args[2]); left > 0; left--) {
    int fd = accept(listener, NULL, NULL);
    linear += receive(fd);
    close(fd);
  }
  printf("%llu\n", (unsigned long long)linear);
  return 0;
}
