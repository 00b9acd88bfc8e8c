// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tests/e2e/guest/commands.h"
#include "tests/e2e/guest/pattern.h"
#include "tests/e2e/guest/report.h"
#include "tests/e2e/guest/stream.h"

namespace kinsock::guest {
namespace {

// From one byte to `options.bytes`, in no order (harness/messages.py computes the same).
uint64_t SizeOf(uint32_t message, const Options& options) {
  if (message + 1 == options.count) return options.bytes;
  return 1 + message * uint64_t{40503} % options.bytes;
}

std::vector<std::byte> MessageOf(uint32_t message, const Options& options) {
  std::vector<std::byte> bytes(SizeOf(message, options));
  FillPattern(options.seed + message, 0, bytes);
  return bytes;
}

Options WithMessages(Options options) {
  if (options.bytes == 0) Fail("usage", {{"missing", "--bytes"}});
  options.seqpacket = true;
  return options;
}

}  // namespace

int Tell(const Options& asked) {
  const Options options = WithMessages(asked);
  Stream stream = OpenStream(options);
  for (uint32_t i = 0; i < options.count; ++i) {
    const int error = stream.Write(MessageOf(i, options));
    if (error != 0) Fail("send", {{"errno", ErrnoName(error)}, {"message", std::to_string(i)}});
  }
  stream.FinishSending();
  // The receiver closes when it has them all; until then the connection must live.
  std::byte nothing;
  const Stream::ReadResult end = stream.Read({&nothing, 1});
  if (end.bytes != 0 || end.error != 0) Fail("end", {{"errno", ErrnoName(end.error)}});
  Report("told", {{"count", std::to_string(options.count)}});
  return EXIT_SUCCESS;
}

int Hear(const Options& asked) {
  const Options options = WithMessages(asked);
  Stream stream = OpenStream(options);
  std::vector<std::byte> buffer(options.bytes + 1);
  for (uint32_t i = 0; i < options.count; ++i) {
    const Stream::ReadResult got = stream.Read(buffer);
    const std::vector<std::byte> expected = MessageOf(i, options);
    if (got.error != 0 || got.bytes != expected.size()) {
      Fail("receive", {{"errno", ErrnoName(got.error)},
                       {"message", std::to_string(i)},
                       {"bytes", std::to_string(got.bytes)},
                       {"expected", std::to_string(expected.size())}});
    }
    if (std::memcmp(buffer.data(), expected.data(), got.bytes) != 0) {
      Fail("receive", {{"message", std::to_string(i)}, {"bytes", "wrong"}});
    }
  }
  const Stream::ReadResult end = stream.Read(buffer);
  if (end.bytes != 0 || end.error != 0) {
    Fail("end", {{"errno", ErrnoName(end.error)}, {"bytes", std::to_string(end.bytes)}});
  }
  Report("heard", {{"count", std::to_string(options.count)}});
  return EXIT_SUCCESS;
}

}  // namespace kinsock::guest
