// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <string>

#include "tests/e2e/guest/commands.h"
#include "tests/e2e/guest/report.h"
#include "tests/e2e/guest/traffic.h"

namespace kinsock::guest {
namespace {

// The receiver closes when it has read everything; until then data may still be under way.
void AwaitPeerClose(Stream& stream) {
  std::byte unexpected;
  const auto [bytes, error] = stream.Read({&unexpected, 1});
  if (bytes != 0) Fail("close", {{"got", "a byte instead of the end"}});
  if (error != 0) Fail("close", {{"errno", ErrnoName(error)}});
}

}  // namespace

int Send(const Options& options) {
  Stream stream = OpenStream(options);
  Digest digest(options.sha256);
  const int64_t start = NowMs();
  const Sent sent = SendPattern(stream, options.seed, options.bytes, digest);
  if (sent.error != 0) {
    Fail("send", {{"errno", ErrnoName(sent.error)}, {"bytes", std::to_string(sent.bytes)}});
  }
  stream.FinishSending();
  AwaitPeerClose(stream);
  const int64_t ms = NowMs() - start;
  Report("sent", {{"bytes", std::to_string(sent.bytes)},
                  {"ms", std::to_string(ms)},
                  {"mib_per_s", MibPerSecond(sent.bytes, ms)},
                  {"sha256", digest.Finish()}});
  return EXIT_SUCCESS;
}

int Receive(const Options& options) {
  Stream stream = OpenStream(options);
  Digest digest(options.sha256);
  const Received received = ReceivePattern(stream, options.seed, options.bytes, digest);
  Report("received", {{"bytes", std::to_string(received.bytes)},
                      {"ms", std::to_string(received.ms)},
                      {"mib_per_s", MibPerSecond(received.bytes, received.ms)},
                      {"sha256", digest.Finish()},
                      {"errno", ErrnoName(received.error)},
                      {"verdict", received.verdict}});
  return received.error == 0 && received.verdict == "exact" ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace kinsock::guest
