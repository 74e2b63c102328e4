// Receives one TCP connection by io_uring's zero-copy receive, and writes the bytes to stdout:
// zcrx-receive INTERFACE QUEUE ADDRESS PORT. By system calls alone: older liburing knows none of it.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { AREA_BYTES = 16 << 20, REFILL_ENTRIES = 4096, PAGE_BYTES = 4096 };

static void *memory(size_t bytes, int flags, int fd, off_t offset) {
  void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, offset);
  if (at == MAP_FAILED) err(1, "mmap of %zu bytes", bytes);
  return at;
}

static int accepted(const char *address, const char *port) {
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
  if (inet_pton(AF_INET, address, &here.sin_addr) != 1) errx(2, "%s is no IPv4 address", address);
  int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (void *)&here, sizeof here) || listen(listener, 1)) err(1, "bind");
  fprintf(stderr, "listening\n");
  int fd = accept(listener, NULL, NULL);
  if (fd < 0) err(1, "accept");
  return fd;
}

int main(int count, char **words) {
  if (count != 5) errx(2, "usage: zcrx-receive INTERFACE QUEUE ADDRESS PORT");
  struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                            IORING_SETUP_CQE32 | IORING_SETUP_CQSIZE,
                                   .cq_entries = 4096};
  int ring = syscall(SYS_io_uring_setup, 8, &params);
  if (ring < 0) err(1, "io_uring_setup");
  // K: IORING_FEAT_SINGLE_MMAP, both rings in one mapping.
  size_t bytes = params.cq_off.cqes + params.cq_entries * 32;
  char *rings = memory(bytes, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
  struct io_uring_sqe *sqes =
      memory(params.sq_entries * sizeof *sqes, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);

  char *area = memory(AREA_BYTES, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  size_t refill_bytes = REFILL_ENTRIES * sizeof(struct io_uring_zcrx_rqe) + PAGE_BYTES;
  char *refill = memory(refill_bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct io_uring_region_desc region = {
      .user_addr = (uintptr_t)refill, .size = refill_bytes, .flags = IORING_MEM_REGION_TYPE_USER};
  struct io_uring_zcrx_area_reg pages = {.addr = (uintptr_t)area, .len = AREA_BYTES};
  struct io_uring_zcrx_ifq_reg queue = {.if_idx = if_nametoindex(words[1]),
                                        .if_rxq = atoi(words[2]),
                                        .rq_entries = REFILL_ENTRIES,
                                        .area_ptr = (uintptr_t)&pages,
                                        .region_ptr = (uintptr_t)&region};
  if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_ZCRX_IFQ, &queue, 1) != 0)
    err(1, "IORING_REGISTER_ZCRX_IFQ");
  struct io_uring_zcrx_rqe *rqes = (void *)(refill + queue.offsets.rqes);
  unsigned *refill_tail = (void *)(refill + queue.offsets.tail);

  int connection = accepted(words[3], words[4]);
  unsigned *sq_tail = (void *)(rings + params.sq_off.tail);
  unsigned *sq_array = (void *)(rings + params.sq_off.array);
  unsigned *cq_head = (void *)(rings + params.cq_off.head);
  unsigned *cq_tail = (void *)(rings + params.cq_off.tail);
  unsigned sent = 0, returned = 0;
  unsigned long total = 0, completions = 0;
  for (int armed = 0;;) {
    if (!armed) {
      unsigned slot = sent & (params.sq_entries - 1);
      sqes[slot] = (struct io_uring_sqe){.opcode = IORING_OP_RECV_ZC,
                                         .fd = connection,
                                         .ioprio = IORING_RECV_MULTISHOT,
                                         .zcrx_ifq_idx = queue.zcrx_id};
      sq_array[slot] = slot;
      __atomic_store_n(sq_tail, ++sent, __ATOMIC_RELEASE);
    }
    if (syscall(SYS_io_uring_enter, ring, !armed, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0 &&
        errno != EINTR)
      err(1, "io_uring_enter");
    armed = 1;
    unsigned head = *cq_head, tail = __atomic_load_n(cq_tail, __ATOMIC_ACQUIRE);
    for (; head != tail; head++) {
      char *entry = rings + params.cq_off.cqes + (head & (params.cq_entries - 1)) * 32;
      struct io_uring_cqe *cqe = (void *)entry;
      struct io_uring_zcrx_cqe *place = (void *)(entry + sizeof *cqe);
      if (cqe->res < 0) errx(1, "IORING_OP_RECV_ZC: %s after %lu bytes", strerror(-cqe->res), total);
      if (!(cqe->flags & IORING_CQE_F_MORE)) armed = 0;
      if (cqe->res == 0 && !armed) {
        fprintf(stderr, "received %lu bytes in %lu completions\n", total, completions);
        return 0;
      }
      uint64_t offset = place->off & ~IORING_ZCRX_AREA_MASK;
      if (fwrite(area + offset, 1, cqe->res, stdout) != (size_t)cqe->res) err(1, "write");
      total += cqe->res;
      completions++;
      rqes[returned & (queue.rq_entries - 1)] =
          (struct io_uring_zcrx_rqe){.off = offset | pages.rq_area_token, .len = cqe->res};
      __atomic_store_n(refill_tail, ++returned, __ATOMIC_RELEASE);
    }
    __atomic_store_n(cq_head, head, __ATOMIC_RELEASE);
  }
}
