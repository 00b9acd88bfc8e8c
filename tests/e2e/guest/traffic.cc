// SPDX-License-Identifier: Apache-2.0
#include "tests/e2e/guest/traffic.h"

#include <algorithm>
#include <vector>

#include "tests/e2e/guest/pattern.h"
#include "tests/e2e/guest/report.h"

namespace kinsock::guest {

Sent SendPattern(Stream& stream, uint32_t seed, uint64_t bytes, Digest& digest) {
  std::vector<std::byte> chunk(std::min<uint64_t>(bytes, kChunkBytes));
  Sent sent = {0, 0};
  while (sent.bytes < bytes && sent.error == 0) {
    const std::span<std::byte> next(chunk.data(), std::min<uint64_t>(chunk.size(), bytes - sent.bytes));
    FillPattern(seed, sent.bytes, next);
    digest.Update(next);
    sent.error = stream.Write(next, &sent.bytes);
  }
  return sent;
}

Received ReceivePattern(Stream& stream, uint32_t seed, uint64_t expected_bytes, Digest& digest) {
  std::vector<std::byte> chunk(kChunkBytes);
  PatternChecker checker(seed);
  int64_t start = NowMs();
  bool flowing = false;
  while (true) {
    const auto [bytes, error] = stream.Read(chunk);
    if (bytes == 0) return {checker.received(), error, NowMs() - start, checker.Verdict(expected_bytes)};
    if (checker.received() == 0) start = NowMs();
    const std::span<const std::byte> got(chunk.data(), bytes);
    checker.Feed(got);
    digest.Update(got);
    if (!flowing && checker.received() >= kFlowingBytes) {
      flowing = true;
      Report("flowing", {{"seed", std::to_string(seed)}});
    }
  }
}

}  // namespace kinsock::guest
