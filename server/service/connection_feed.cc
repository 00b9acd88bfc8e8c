// SPDX-License-Identifier: Apache-2.0
#include "server/service/connection_feed.h"

#include <utility>

#include "base/unique_id.h"

namespace kinsock {
namespace {

using Response = v1::WatchConnectionsResponse;
using State = FlowInfo::State;

Response Mark(Response::Type type) {
  Response mark;
  mark.set_type(type);
  return mark;
}

// What `change` is for who watches the connections of `query`; nothing: it does not concern him.
std::optional<Response> ForWatch(const ConnectionFeed::Change& change, const ConnectionQuery& query) {
  const auto is_it = [&](const v1::Endpoint& end) { return end.vm() == query.vm; };
  const v1::Connection& connection = change.connection;
  if (!query.vm.empty() && !is_it(connection.initiator()) && !is_it(connection.target())) return std::nullopt;
  const bool was_shown = change.before.has_value() && query.Wants(*change.before);
  const bool is_shown = query.Wants(change.now);
  Response response;
  if (change.now == State::kClosed) {
    if (!was_shown && !is_shown) return std::nullopt;
    response.set_type(Response::DELETED);
  } else if (is_shown) {
    response.set_type(was_shown ? Response::MODIFIED : Response::ADDED);
  } else if (was_shown) {
    response.set_type(Response::DELETED);
  } else {
    return std::nullopt;
  }
  *response.mutable_connection() = connection;
  return response;
}

}  // namespace

ConnectionFeed::ConnectionFeed(EventLoop& main, FlowSnapshots& snapshots, VmsOf vms_of, std::string instance)
    : main_(main),
      snapshots_(snapshots),
      vms_of_(std::move(vms_of)),
      instance_(std::move(instance)),
      ring_(RandomEpoch(), {.items = kMaxChanges, .max_lag = kMaxLag, .max_subscribers = kMaxWatches}) {}

RingSource<Response, ConnectionFeed::Entry> ConnectionFeed::source(ConnectionQuery query) {
  return {.ring = &ring_,
          .convert = [query](const Entry& entry) { return ForWatch(*entry, query); },
          .synced = [] { return Mark(Response::SYNCED); },
          .bookmark = [] { return Mark(Response::BOOKMARK); },
          .prepare = [this, query](const std::function<void(Present)>& ready) { Prepare(query, ready); }};
}

void ConnectionFeed::Prepare(const ConnectionQuery& query, const std::function<void(Present)>& ready) {
  if (looking_ && known_ != nullptr) return ready(PresentOf(query));
  waiting_.push_back([this, query, ready] { ready(PresentOf(query)); });
  if (!looking_) WakeUp();
}

ConnectionFeed::Present ConnectionFeed::PresentOf(const ConnectionQuery& query) const {
  // Made as it is sent: a client that does not read costs no messages.
  return [this, query, flows = known_, next = size_t{0}](size_t max) mutable {
    std::vector<Response> batch;
    for (; next < flows->size() && batch.size() < max; ++next) {
      const FlowInfo& flow = (*flows)[next];
      if (flow.state == State::kClosed) continue;
      const FlowVms vms = vms_of_(flow);
      if (!query.Matches(flow, vms)) continue;
      batch.push_back(Mark(Response::ADDED));
      *batch.back().mutable_connection() = ToProto(flow, vms, instance_);
    }
    return batch;
  };
}

void ConnectionFeed::WakeUp() {
  if (forget_timer_.has_value()) main_.Cancel(*forget_timer_);
  forget_timer_.reset();
  if (known_ == nullptr || main_.clock().Now() - known_at_ > kResumable) {
    known_ = nullptr;
    missed_.clear();
    ring_.Restart(RandomEpoch());
  }
  looking_ = true;
  Look();
}

void ConnectionFeed::Look() {
  snapshots_.Get(ReactorPool::Flows::kWithClosed, [this](const Flows& flows) { Took(flows); });
}

void ConnectionFeed::Took(const Flows& flows) {
  // What had ended before the first look is nobody's news.
  known_ = known_ == nullptr ? flows : std::make_shared<const std::vector<FlowInfo>>(TellChanges(*flows));
  known_at_ = main_.clock().Now();
  for (const std::function<void()>& begin : std::exchange(waiting_, {})) begin();
  if (ring_.subscribers() == 0) return RestOrGoOn();
  main_.RunAfter(kInterval, [this] { RestOrGoOn(); });
}

void ConnectionFeed::RestOrGoOn() {
  if (ring_.subscribers() > 0 || !waiting_.empty()) return Look();
  looking_ = false;
  forget_timer_ = main_.RunAfter(kResumable, [this] {
    forget_timer_.reset();
    known_ = nullptr;
  });
}

// Both lists are by id, ascending.
std::vector<FlowInfo> ConnectionFeed::TellChanges(const std::vector<FlowInfo>& flows) {
  std::vector<FlowInfo> known;
  known.reserve(flows.size());
  auto before = known_->begin();
  for (size_t i = 0; i < flows.size(); ++i) {
    const FlowInfo* flow = &flows[i];
    if (i + 1 < flows.size() && flows[i + 1].id == flow->id) {  // it ended during the look, and is in it twice
      ++i;
      if (flow->state != State::kClosed) flow = &flows[i];
    }
    for (; before != known_->end() && before->id < flow->id; ++before) Vanished(*before, known);
    const bool was_there = before != known_->end() && before->id == flow->id;
    const std::optional<State> was = was_there ? std::make_optional(before->state) : std::nullopt;
    if (was_there) ++before;
    missed_.erase(flow->id);
    known.push_back(*flow);
    if (was != flow->state) Tell(was, *flow);
  }
  for (; before != known_->end(); ++before) Vanished(*before, known);
  return known;
}

// One that was there, and now is neither open nor among those that ended: it ends in this moment, and is among them at
// the next look; or it has been forgotten already.
void ConnectionFeed::Vanished(const FlowInfo& flow, std::vector<FlowInfo>& known) {
  if (flow.state == State::kClosed) return;
  if (missed_.insert(flow.id).second) return known.push_back(flow);
  missed_.erase(flow.id);
  FlowInfo ended = flow;
  ended.state = State::kClosed;
  ended.close_time = std::chrono::system_clock::now();
  Tell(flow.state, ended);
}

void ConnectionFeed::Tell(std::optional<State> before, const FlowInfo& now) {
  ring_.Append(std::make_shared<const Change>(Change{before, now.state, ToProto(now, vms_of_(now), instance_)}));
}

}  // namespace kinsock
