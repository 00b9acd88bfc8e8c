// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_WEB_EVENT_FEED_H_
#define KINSOCK_WEB_EVENT_FEED_H_

#include <functional>
#include <memory>
#include <vector>

#include "base/event_loop.h"
#include "server/rpc/event_log.h"
#include "server/rpc/watch_ring.h"

namespace kinsock {

// Follows the daemon's events, once for all who look at them over HTTP, and hands on those that a viewer may see: what
// becomes of VMs and forwards, and which connections were denied. Who has called the API is the operator's to see.
//
// Thread: main.
class EventFeed {
 public:
  using Numbered = WatchRing<EventLog::Entry>::Numbered;
  // Gets what there is when the feed begins, and then what happens, in order; from the main thread.
  using Deliver = std::function<void(std::vector<Numbered>)>;

  // `main` and `log` outlive this.
  EventFeed(EventLoop& main, EventLog& log, Deliver deliver);
  EventFeed(const EventFeed&) = delete;
  EventFeed& operator=(const EventFeed&) = delete;

  static bool IsForViewers(const v1::Event& event);

 private:
  void Follow(uint64_t after);
  void Pump();

  EventLoop& main_;
  WatchRing<EventLog::Entry>& ring_;
  const Deliver deliver_;
  std::unique_ptr<WatchRing<EventLog::Entry>::Subscription> subscription_;  // null: there will be no more
  // Messages to main that are under way when this goes find it gone.
  std::shared_ptr<EventFeed*> self_;
};

}  // namespace kinsock

#endif  // KINSOCK_WEB_EVENT_FEED_H_
