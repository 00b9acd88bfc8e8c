// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/guest/commands.h"
#include "tests/e2e/guest/pattern.h"
#include "tests/e2e/guest/report.h"
#include "tests/e2e/guest/traffic.h"

namespace kinsock::guest {

// The connecting side sends stream `seed`, the listening side stream `seed + 1`, without an end. What came before the
// break must have been exact; its length is whatever it was.
int Hold(const Options& options) {
  const uint32_t own = options.connect_to ? options.seed : options.seed + 1;
  const uint32_t other = options.connect_to ? options.seed + 1 : options.seed;
  Stream stream = OpenStream(options);
  Sent sent = {};
  std::thread sender([&] {
    Digest no_digest(false);
    sent = SendPattern(stream, own, std::numeric_limits<int64_t>::max(), no_digest);
  });
  Digest no_digest(false);
  const Received received = ReceivePattern(stream, other, PatternChecker::kAnyLength, no_digest);
  Report("broken", {{"errno", received.error == 0 ? "EOF" : ErrnoName(received.error)},
                    {"received", std::to_string(received.bytes)}});
  sender.join();
  Report("ended", {{"send_errno", ErrnoName(sent.error)}, {"sent", std::to_string(sent.bytes)}});
  if (received.verdict != "exact") Fail("hold", {{"verdict", received.verdict}});
  return EXIT_SUCCESS;
}

// Ends only by a signal.
int Ignore(const Options& options) {
  if (!options.listen_port) Fail("usage", {{"missing", "--listen"}});
  Listener listener(*options.listen_port);
  std::vector<Stream> ignored;
  while (true) ignored.push_back(listener.Accept());
}

}  // namespace kinsock::guest
