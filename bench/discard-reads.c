/*
 * Preloaded into `iperf3 -s`, makes it a receiver that copies nothing: large reads from a socket
 * have the kernel drop the bytes (MSG_TRUNC, tcp(7)). What its sender reaches then says how much of a
 * figure is the receiver's copying.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

ssize_t read(int fd, void *buffer, size_t bytes) {
  /* A test's data is read in blocks of 128 KiB. Messages that control the test are smaller. */
  if (bytes >= 64 * 1024) {
    ssize_t dropped = recv(fd, buffer, bytes, MSG_TRUNC);
    if (dropped >= 0) return dropped;
  }
  return syscall(SYS_read, fd, buffer, bytes);
}
