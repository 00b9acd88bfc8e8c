// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BASE_TOKEN_BUCKET_H_
#define KINSOCK_BASE_TOKEN_BUCKET_H_

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "base/clock.h"

namespace kinsock {

// How much may pass. Plain value.
struct Rate {
  // More would be no limit to anything, and less of it keeps the arithmetic within 64 bits.
  static constexpr uint64_t kMax = 1'000'000'000'000;

  uint64_t per_second = 0;  // 0: as much as there is; up to kMax
  uint64_t burst = 0;       // what may pass at once after a pause; 1 to kMax if there is a limit
  friend bool operator==(const Rate&, const Rate&) = default;
};

// A rate being kept. What passes is taken out, and time puts it back:
//
//     time (per_second) ----> [ left, up to burst ] ----> Spend()        Spent(): nothing left, wait for TimeToRefill()
//
// What is let through may be more than what is left; the next ones pay it back, so that the rate holds in the long run
// whatever the size of what passes. Without a limit nothing is ever Spent(), and the clock need not be looked at.
// Not thread-safe.
class TokenBucket {
 public:
  // Full when there was no limit before; what was spent beyond it stays spent.
  void SetRate(const Rate& rate, MonotonicTime now) {
    if (rate == rate_) return;
    const bool was_limited = limited();
    Refill(now);
    rate_ = rate;
    filled_ = now;
    remainder_ = 0;
    left_ = was_limited ? std::min(left_, burst()) : burst();
  }

  bool limited() const { return rate_.per_second != 0; }
  bool Spent() const { return limited() && left_ <= 0; }
  void Spend(uint64_t amount) { left_ -= static_cast<int64_t>(amount); }

  // `wanted`, or less of it if so much is not left. Not Spent().
  uint32_t AtMost(uint32_t wanted) const {
    return limited() ? static_cast<uint32_t>(std::min<int64_t>(wanted, left_)) : wanted;
  }

  // Puts in what time has brought.
  void Refill(MonotonicTime now) {
    if (!limited() || now <= filled_) return;
    const auto elapsed = static_cast<unsigned __int128>(std::chrono::nanoseconds(now - filled_).count());
    const unsigned __int128 brought = elapsed * rate_.per_second + remainder_;
    filled_ = now;
    remainder_ = static_cast<uint64_t>(brought % kNanoseconds);
    const auto room = static_cast<unsigned __int128>(burst() - left_);
    left_ += static_cast<int64_t>(std::min(brought / kNanoseconds, room));
  }

  // From the last Refill() on, until there is a millisecond's worth, or all there can be. Not Spent(): zero.
  std::chrono::nanoseconds TimeToRefill() const {
    if (!Spent()) return std::chrono::nanoseconds(0);
    const auto worth = static_cast<int64_t>(rate_.per_second / 1000);
    const int64_t missing = std::min(std::max<int64_t>(worth, 1), burst()) - left_;
    const unsigned __int128 wait = static_cast<unsigned __int128>(missing) * kNanoseconds / rate_.per_second + 1;
    return std::chrono::nanoseconds(static_cast<int64_t>(std::min<unsigned __int128>(wait, INT64_MAX)));
  }

 private:
  static constexpr uint64_t kNanoseconds = 1'000'000'000;

  int64_t burst() const { return static_cast<int64_t>(rate_.burst); }

  Rate rate_;
  int64_t left_ = 0;
  uint64_t remainder_ = 0;  // of a token, in billionths
  MonotonicTime filled_;
};

}  // namespace kinsock

#endif  // KINSOCK_BASE_TOKEN_BUCKET_H_
