// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "tests/e2e/guest/commands.h"
#include "tests/e2e/guest/pattern.h"
#include "tests/e2e/guest/report.h"
#include "tests/e2e/guest/traffic.h"

namespace kinsock::guest {

int Pattern(const Options& options) {
  std::vector<std::byte> chunk(kChunkBytes);
  for (uint64_t done = 0; done < options.bytes;) {
    const std::span<std::byte> next(chunk.data(), std::min<uint64_t>(chunk.size(), options.bytes - done));
    FillPattern(options.seed, done, next);
    if (std::fwrite(next.data(), 1, next.size(), stdout) != next.size()) return EXIT_FAILURE;
    done += next.size();
  }
  return std::fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int Check(const Options& options) {
  std::vector<std::byte> chunk(kChunkBytes);
  PatternChecker checker(options.seed);
  while (const size_t bytes = std::fread(chunk.data(), 1, chunk.size(), stdin)) checker.Feed({chunk.data(), bytes});
  const std::string verdict = checker.Verdict(options.bytes);
  Report("checked", {{"verdict", verdict}});
  return verdict == "exact" ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace kinsock::guest
