// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

namespace kinsock {
namespace {

class SteadyClock final : public Clock {
 public:
  MonotonicTime Now() const override { return std::chrono::steady_clock::now(); }
};

}  // namespace

const Clock& Clock::Monotonic() {
  static const SteadyClock clock;
  return clock;
}

}  // namespace kinsock
