// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <string>

#include "tests/e2e/guest/commands.h"
#include "tests/e2e/guest/report.h"
#include "tests/e2e/guest/traffic.h"

namespace kinsock::guest {
namespace {

void SendAll(Stream& stream, uint32_t seed, uint64_t bytes) {
  Digest no_digest(false);
  const Sent sent = SendPattern(stream, seed, bytes, no_digest);
  if (sent.error != 0) {
    Fail("send", {{"errno", ErrnoName(sent.error)}, {"bytes", std::to_string(sent.bytes)}});
  }
  stream.FinishSending();
}

void ReceiveAll(Stream& stream, uint32_t seed, uint64_t bytes) {
  Digest no_digest(false);
  const Received received = ReceivePattern(stream, seed, bytes, no_digest);
  if (received.error != 0 || received.verdict != "exact") {
    Fail("receive", {{"errno", ErrnoName(received.error)}, {"verdict", received.verdict}});
  }
}

}  // namespace

int Ask(const Options& options) {
  Stream stream = OpenStream(options);
  SendAll(stream, options.seed, options.bytes);
  ReceiveAll(stream, options.seed + 1, options.bytes);
  Report("answered", {{"bytes", std::to_string(options.bytes)}});
  return EXIT_SUCCESS;
}

int Answer(const Options& options) {
  Stream stream = OpenStream(options);
  ReceiveAll(stream, options.seed, options.bytes);
  Report("asked", {{"bytes", std::to_string(options.bytes)}});
  SendAll(stream, options.seed + 1, options.bytes);
  return EXIT_SUCCESS;
}

}  // namespace kinsock::guest
