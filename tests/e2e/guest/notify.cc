// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "tests/e2e/guest/commands.h"
#include "tests/e2e/guest/report.h"
#include "tests/e2e/guest/stream.h"

namespace kinsock::guest {

// What sd_notify(3) does over vsock: sends all, says that it has, and waits until the other end has closed.
int Notify(const Options& options) {
  std::vector<std::byte> text(4096);
  text.resize(std::fread(text.data(), 1, text.size(), stdin));
  Stream stream = OpenStream(options);
  if (const int error = stream.Write(text); error != 0) Fail("send", {{"errno", ErrnoName(error)}});
  stream.FinishSending();
  std::byte nothing;
  const Stream::ReadResult end = stream.Read({&nothing, 1});
  if (end.bytes != 0 || end.error != 0) Fail("end", {{"errno", ErrnoName(end.error)}});
  Report("notified", {});
  return EXIT_SUCCESS;
}

}  // namespace kinsock::guest
