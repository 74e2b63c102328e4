/*
 * `tls-sender PORT`: connects to 127.0.0.1 with TLS and sends zeros until the peer is gone. Records
 * of 16 KiB, as servers send, four to a write: a sender that is cheaper than its receiver, so that it
 * is not the sender's speed that is measured.
 */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>

#define RECORD (16 * 1024)
#define WRITE (64 * 1024)

int main(int count, char **arguments) {
  static char zeros[RECORD];
  if (count < 2) return 2;
  signal(SIGPIPE, SIG_IGN);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[1]))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) return 1;
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  SSL *session = SSL_new(context);
  SSL_set_fd(session, fd);
  if (SSL_connect(session) != 1) return 1;
  BIO *collecting = BIO_new(BIO_f_buffer());
  BIO_set_write_buffer_size(collecting, WRITE);
  SSL_set0_wbio(session, BIO_push(collecting, BIO_new_socket(fd, BIO_NOCLOSE)));
  while (SSL_write(session, zeros, RECORD) > 0) continue;
  return 0;
}
