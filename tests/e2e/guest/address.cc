// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include <cstdlib>
#include <string>

#include "tests/e2e/guest/commands.h"
#include "tests/e2e/guest/report.h"
#include "tests/e2e/guest/stream.h"

namespace kinsock::guest {

int Refused(const Options& options) {
  if (!options.connect_to) Fail("usage", {{"missing", "--connect"}});
  const int64_t start = NowMs();
  const ConnectResult result = TryConnect(*options.connect_to, SocketType(options));
  const int64_t ms = NowMs() - start;
  if (result.error == 0) Fail("refused", {{"but", "connected"}});
  Report("refused", {{"errno", ErrnoName(result.error)}, {"ms", std::to_string(ms)}});
  return EXIT_SUCCESS;
}

int Cid(const Options&) {
  const int fd = open("/dev/vsock", O_RDONLY | O_CLOEXEC);
  unsigned int cid = 0;
  if (fd < 0 || ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) != 0) Fail("cid", {{"errno", ErrnoName(errno)}});
  close(fd);
  Report("cid", {{"value", std::to_string(cid)}});
  return EXIT_SUCCESS;
}

}  // namespace kinsock::guest
