// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_CONTROL_ALLOWANCE_H_
#define KINSOCK_DEVICE_CONTROL_ALLOWANCE_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

#include "base/clock.h"

namespace kinsock {

// How much a guest and its VMM may say that moves nothing: packets without payload, kicks without packets, chains and
// packets that are refused, vhost-user messages. Each costs the daemon, and often a sibling, as much as a packet that
// does move something, and nothing else bounds it: payload is paid for by the receiver's credit.
//
//     time (per_second) ----> [ left, up to burst ] ----> what moves nothing
//     what moves something --'                            spent: the guest is left alone for kPause
//
// Traffic earns what belongs to it: payload, whoever sent it, the credit updates of its receiver; a connection, the
// packets that end it. So a guest that does nothing but connect, or read, is never short of it. What one guest asks of
// another earns it no more than it costs the asker, so that two of them cannot pay each other.
//
// Thread: the device's reactor.
class ControlAllowance {
 public:
  // How long a guest is left alone: earns some tens of packets, and the timer costs nothing.
  static constexpr std::chrono::milliseconds kPause{2};

  // What things cost.
  static constexpr int64_t kPacket = 1;
  static constexpr int64_t kKick = 5;           // the reactor may have slept
  static constexpr int64_t kCreditRequest = 4;  // its receiver is interrupted, and answers
  static constexpr int64_t kMessage = 20;       // of the VMM: some system calls

  // What things earn.
  static constexpr int64_t kPayload = 2;     // to either end
  static constexpr int64_t kConnection = 4;  // to either end
  static constexpr int64_t kAnswer = 1;      // to who has to answer a credit request

  // Both at least 1, at most 1'000'000'000.
  ControlAllowance(uint32_t per_second, uint32_t burst)
      : nanoseconds_each_(1'000'000'000 / per_second), burst_(burst), left_(burst) {}

  void Charge(int64_t cost) { left_ -= cost; }
  void Earn(int64_t income) { left_ = std::min(left_ + income, burst_); }
  bool spent() const { return left_ <= 0; }

  // Adds what time has brought, and what the guest has earned by what it was sent: `received` all together, ever.
  void Refill(MonotonicTime now, uint64_t received) {
    const int64_t earned = static_cast<int64_t>(received - std::exchange(received_, received));
    const auto elapsed = std::min<MonotonicTime::duration>(now - std::exchange(filled_, now), std::chrono::seconds(1));
    const auto nanoseconds = std::chrono::nanoseconds(elapsed).count() + remainder_;
    remainder_ = nanoseconds % nanoseconds_each_;
    Earn(earned + nanoseconds / nanoseconds_each_);
  }

 private:
  const int64_t nanoseconds_each_;
  const int64_t burst_;
  int64_t left_;
  MonotonicTime filled_;
  int64_t remainder_ = 0;  // nanoseconds that have not bought anything yet
  uint64_t received_ = 0;
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_CONTROL_ALLOWANCE_H_
