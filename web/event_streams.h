// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_WEB_EVENT_STREAMS_H_
#define KINSOCK_WEB_EVENT_STREAMS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "server/rpc/event_log.h"
#include "web/event_feed.h"
#include "web/http_app.h"

namespace kinsock {

// Server-sent events (HTML, 9.2) of what happens in the daemon: /api/v1/events. Each is an Event of the API in JSON,
// with its resource version as its id:
//
//     retry: 2000
//
//     id: 6f1c.17
//     data: {"id":"6f1c-17","type":"LIFECYCLE","reason":"VM_CREATED",...}
//
// First what is remembered, then {"type":"SYNCED"}, then what happens; from a version on (Last-Event-ID, or
// ?resource_version=), what came after it, without SYNCED. A version that nobody remembers, for instance of an earlier
// start of the daemon, is answered with an event "RESOURCE_VERSION_EXPIRED", and everything. `?tail=N` leaves out what
// is remembered but for the last N.
//
//     events:   n-3  n-2  n-1  n
//                 ^         ^
//             forgotten     a cursor: this stream has been told until here
//
// A stream is a cursor, and costs no memory. One that reads so slowly that what it needs is forgotten ends.
//
// Thread: the HTTP server's.
class EventStreams {
 public:
  // `loop` is the server's, and gone when this goes. `epoch`: of resource versions.
  EventStreams(EventLoop& loop, std::string epoch) : loop_(loop), epoch_(std::move(epoch)) {}
  EventStreams(const EventStreams&) = delete;
  EventStreams& operator=(const EventStreams&) = delete;

  // More events, in order.
  void Append(std::vector<EventFeed::Numbered> events);

  // The answer to a request for a stream.
  HttpReply Open(const HttpRequest& request);

  // Any thread.
  size_t open() const { return open_.load(std::memory_order_relaxed); }
  // Ended because they read too slowly.
  uint64_t lagged() const { return lagged_.load(std::memory_order_relaxed); }

 private:
  class Stream;
  struct Event {
    uint64_t version = 0;
    EventLog::Entry event;
    std::string text;  // as it is sent; empty: nobody was sent it yet
  };

  std::optional<std::string> NextOf(Stream& stream);
  const std::string& TextOf(Event& event) const;
  void WakeAll(bool with_heartbeat);
  void ArmHeartbeat();
  void Remove(Stream& stream);

  EventLoop& loop_;
  const std::string epoch_;
  std::deque<Event> events_;
  uint64_t forgotten_ = 0;  // the version of the last event that is not in events_ any more
  uint64_t head_ = 0;       // of the last event
  std::set<Stream*> streams_;
  std::map<std::string, size_t> by_peer_;  // streams of those that have any
  std::optional<EventLoop::TimerId> heartbeat_;
  std::atomic<size_t> open_{0};
  std::atomic<uint64_t> lagged_{0};
};

}  // namespace kinsock

#endif  // KINSOCK_WEB_EVENT_STREAMS_H_
