// SPDX-License-Identifier: Apache-2.0
#include "web/event_streams.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "server/model/resource_version.h"
#include "server/status/error.h"
#include "web/http_limits.h"
#include "web/http_stream.h"
#include "web/json_text.h"

namespace kinsock {
namespace {

constexpr char kEventStream[] = "text/event-stream";
// How long a client waits before it comes again, milliseconds.
constexpr char kRetry[] = "retry: 2000\n\n";
constexpr int kRetrySeconds = 5;

HttpReply Refusal(const absl::Status& status) {
  const int http = HttpStatusOf(status.code());
  HttpReply reply{.status = http, .type = kJsonType, .body = JsonOf(status)};
  if (http == 503) reply.headers = {{"Retry-After", absl::StrCat(kRetrySeconds)}};
  return reply;
}

std::string IdLine(const std::string& epoch, uint64_t version) {
  return absl::StrCat("id: ", ResourceVersion{epoch, version}.ToString(), "\n");
}

}  // namespace

class EventStreams::Stream final : public HttpStream {
 public:
  // `after`: the version it has been told until. `beginning`: what it is told first.
  Stream(EventStreams& streams, std::string peer, uint64_t after, std::string beginning, bool sync)
      : cursor(after), beginning(std::move(beginning)), sync(sync), peer(std::move(peer)), streams_(streams) {}
  ~Stream() override { streams_.Remove(*this); }

  std::optional<std::string> Next() override { return streams_.NextOf(*this); }
  void SetWake(std::function<void()> wake_up) override { wake = std::move(wake_up); }

  uint64_t cursor;
  std::string beginning;
  bool sync;  // SYNCED is due when all has been told
  bool heartbeat = false;
  const std::string peer;
  std::function<void()> wake;

 private:
  EventStreams& streams_;
};

void EventStreams::Append(std::vector<EventFeed::Numbered> events) {
  for (EventFeed::Numbered& numbered : events) {
    head_ = numbered.version;
    events_.push_back({numbered.version, std::move(numbered.item), ""});
    if (events_.size() <= EventLog::kMaxEvents) continue;
    forgotten_ = events_.front().version;
    events_.pop_front();
  }
  WakeAll(false);
}

HttpReply EventStreams::Open(const HttpRequest& request) {
  size_t tail = EventLog::kMaxEvents;
  for (const auto& [name, value] : request.parameters) {
    if (name == "tail" && absl::SimpleAtoi(value, &tail)) continue;
    if (name == "resource_version" && IsUtf8(value)) continue;
    return Refusal(
        FieldsInvalid("", {{IsUtf8(name) ? Quoted(name) : "?",
                            "is no parameter of this, or has no such value; there are resource_version, tail"}}));
  }
  if (streams_.size() >= kMaxEventStreams) {
    return Refusal(QuotaExceeded("streams of events over HTTP", kMaxEventStreams, "close some pages"));
  }
  if (const auto found = by_peer_.find(request.peer);
      found != by_peer_.end() && found->second >= kMaxEventStreamsPerPeer) {
    return Refusal(QuotaExceeded("streams of events over HTTP of one user, or over TCP", kMaxEventStreamsPerPeer,
                                 "close some pages"));
  }
  const std::string from =
      !request.last_event_id.empty() ? request.last_event_id : request.Parameter("resource_version");
  std::string beginning = kRetry;
  uint64_t after = forgotten_;
  if (events_.size() > tail) after = tail == 0 ? head_ : events_[events_.size() - tail - 1].version;
  bool sync = true;
  if (!from.empty()) {
    const std::optional<ResourceVersion> version = ResourceVersion::Parse(from);
    const bool known =
        version.has_value() && version->epoch == epoch_ && version->n >= forgotten_ && version->n <= head_;
    if (known) {
      after = version->n;
      sync = false;
    } else {
      absl::StrAppend(&beginning, "event: RESOURCE_VERSION_EXPIRED\ndata: {}\n\n");
    }
  }
  auto stream = std::make_unique<Stream>(*this, request.peer, after, std::move(beginning), sync);
  streams_.insert(stream.get());
  ++by_peer_[request.peer];
  open_.store(streams_.size(), std::memory_order_relaxed);
  if (!heartbeat_.has_value()) ArmHeartbeat();
  return {.type = kEventStream, .stream = std::move(stream)};
}

void EventStreams::Remove(Stream& stream) {
  streams_.erase(&stream);
  const auto found = by_peer_.find(stream.peer);
  if (--found->second == 0) by_peer_.erase(found);
  open_.store(streams_.size(), std::memory_order_relaxed);
}

std::optional<std::string> EventStreams::NextOf(Stream& stream) {
  std::string piece = std::exchange(stream.beginning, "");
  if (stream.cursor < forgotten_) {
    lagged_.fetch_add(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  auto event = std::upper_bound(events_.begin(), events_.end(), stream.cursor,
                                [](uint64_t cursor, const Event& each) { return cursor < each.version; });
  for (size_t told = 0; told < kEventsPerPiece && event != events_.end(); ++told, ++event) {
    piece += TextOf(*event);
    stream.cursor = event->version;
  }
  if (event == events_.end() && std::exchange(stream.sync, false)) {
    v1::Event synced;
    synced.set_type(v1::Event::SYNCED);
    synced.set_resource_version(ResourceVersion{epoch_, stream.cursor}.ToString());
    absl::StrAppend(&piece, IdLine(epoch_, stream.cursor), "data: ", JsonOf(synced), "\n\n");
  }
  if (std::exchange(stream.heartbeat, false) && piece.empty()) piece = ":\n\n";
  return piece;
}

const std::string& EventStreams::TextOf(Event& event) const {
  if (event.text.empty()) {
    v1::Event told = *event.event;
    told.set_resource_version(ResourceVersion{epoch_, event.version}.ToString());
    // JSON has no line break in it.
    event.text = absl::StrCat(IdLine(epoch_, event.version), "data: ", JsonOf(told), "\n\n");
  }
  return event.text;
}

void EventStreams::WakeAll(bool with_heartbeat) {
  // A stream that is woken may go, and others with it.
  const std::vector<Stream*> all(streams_.begin(), streams_.end());
  for (Stream* stream : all) {
    if (streams_.count(stream) == 0) continue;
    if (with_heartbeat) stream->heartbeat = true;
    const std::function<void()> wake = stream->wake;
    if (wake != nullptr) wake();
  }
}

void EventStreams::ArmHeartbeat() {
  heartbeat_ = loop_.RunAfter(kEventHeartbeat, [this] {
    heartbeat_.reset();
    WakeAll(true);
    if (!streams_.empty()) ArmHeartbeat();
  });
}

}  // namespace kinsock
