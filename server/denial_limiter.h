// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_DENIAL_LIMITER_H_
#define KINSOCK_SERVER_DENIAL_LIMITER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "api/kinsock/v1/event.pb.h"
#include "base/event_loop.h"
#include "server/event_log.h"

namespace kinsock {

// Lets so many denials into the event log as a person can read: whoever is refused can ask without end, and must not
// push everything else out of it. What is left out is counted, and the count told within a second.
//
// Thread: main.
class DenialLimiter {
 public:
  // At once, and then each second. Beyond: counted in an event DENIALS_SUPPRESSED.
  static constexpr size_t kBurst = 32;
  static constexpr size_t kPerSecond = 2;

  // `object`: of the event that tells the count. `main` and `log` outlive this.
  DenialLimiter(EventLoop& main, EventLog& log, std::string object);
  ~DenialLimiter();
  DenialLimiter(const DenialLimiter&) = delete;
  DenialLimiter& operator=(const DenialLimiter&) = delete;

  void Add(v1::Event denial);
  // `count` more, of which nothing else is known.
  void Suppress(uint64_t count);

 private:
  void Tick();

  EventLoop& main_;
  EventLog& log_;
  const std::string object_;
  size_t left_ = kBurst;
  uint64_t suppressed_ = 0;
  // Runs while anything was used up or left out.
  std::optional<EventLoop::TimerId> timer_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_DENIAL_LIMITER_H_
