// Stands in for socat in the guest as toeplitz.py calls it: socat -4|-6 -t 0.1 - UDP|TCP:ADDRESS:PORT.
// That test wants ten packets in four seconds, each of a program of its own. socat links fourteen libraries
// when it starts, which takes too long where the host is busy.
#include <arpa/inet.h>
#include <err.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

// Time that the peer has for an answer, which is thrown away.
enum { ANSWER_MS = 100 };

int main(int argc, char **argv) {
  char protocol[4], address[INET6_ADDRSTRLEN], bytes[4096];
  unsigned port;
  const char *to = argv[argc - 1];
  if (sscanf(to, "%3[A-Z]:[%45[^]]]:%u", protocol, address, &port) != 3 &&
      sscanf(to, "%3[A-Z]:%45[^:]:%u", protocol, address, &port) != 3)
    errx(2, "%s is no UDP:ADDRESS:PORT", to);
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
  int is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
  if (!is_v4 && inet_pton(AF_INET6, address, &v6.sin6_addr) != 1) errx(2, "%s is no address", address);
  int fd = socket(is_v4 ? AF_INET : AF_INET6, protocol[0] == 'U' ? SOCK_DGRAM : SOCK_STREAM, 0);
  const struct sockaddr *peer = is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
  if (connect(fd, peer, is_v4 ? sizeof v4 : sizeof v6) != 0) err(1, "connect to %s", to);
  for (ssize_t length; (length = read(STDIN_FILENO, bytes, sizeof bytes)) > 0;)
    if (write(fd, bytes, length) != length) err(1, "write to %s", to);
  shutdown(fd, SHUT_WR);
  struct pollfd answer = {.fd = fd, .events = POLLIN};
  poll(&answer, 1, ANSWER_MS);
  return 0;
}
