// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_EVENT_LIMITER_H_
#define KINSOCK_SERVER_RPC_EVENT_LIMITER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "api/kinsock/v1/event.pb.h"
#include "base/event_loop.h"
#include "server/rpc/event_log.h"

namespace kinsock {

// Lets so many events of one kind into the event log as a person can read: whoever connects, or is refused, can ask
// without end, and must not push everything else out of it. What is left out is counted, and the count told within a
// second.
//
// Thread: main.
class EventLimiter {
 public:
  // At once, and then each second. Beyond: counted in an event.
  static constexpr size_t kBurst = 32;
  static constexpr size_t kPerSecond = 2;

  // The event that tells the count, but for that.
  struct Summary {
    v1::Event::Type type;
    v1::Event::Severity severity;
    std::string object;
    std::string reason;  // for example "DENIALS_SUPPRESSED"
    std::string what;    // for example "denials"
  };
  // Of denials.
  static Summary OfDenials(std::string object);

  // `main` and `log` outlive this.
  EventLimiter(EventLoop& main, EventLog& log, Summary summary);
  ~EventLimiter();
  EventLimiter(const EventLimiter&) = delete;
  EventLimiter& operator=(const EventLimiter&) = delete;

  void Add(v1::Event event);
  // `count` more, of which nothing else is known.
  void Suppress(uint64_t count);

 private:
  void Tick();

  EventLoop& main_;
  EventLog& log_;
  const Summary summary_;
  size_t left_ = kBurst;
  uint64_t suppressed_ = 0;
  // Runs while anything was used up or left out.
  std::optional<EventLoop::TimerId> timer_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_EVENT_LIMITER_H_
