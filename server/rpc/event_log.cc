// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/event_log.h"

#include <chrono>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/unique_id.h"
#include "server/convert/proto_time.h"

namespace kinsock {
namespace {

// Not in the middle of a character.
void Shorten(std::string& text, size_t length) {
  if (text.size() <= length) return;
  while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0) == 0x80) --length;
  text.resize(length);
}

void Bound(v1::Event& event) {
  Shorten(*event.mutable_message(), EventLog::kMaxMessageBytes);
  Shorten(*event.mutable_object(), EventLog::kMaxFieldBytes);
  if (event.has_actor()) Shorten(*event.mutable_actor()->mutable_exe(), EventLog::kMaxFieldBytes);
  for (auto& [name, value] : *event.mutable_fields()) Shorten(value, EventLog::kMaxFieldBytes);
}

v1::Event Mark(v1::Event::Type type) {
  v1::Event mark;
  mark.set_type(type);
  return mark;
}

}  // namespace

EventLog::EventLog(EventLoop& main)
    : main_(main), ring_(RandomEpoch(), {.items = kMaxEvents, .max_lag = kMaxLag, .max_subscribers = kMaxWatches}) {}

void EventLog::Add(v1::Event event) {
  event.set_id(absl::StrCat(ring_.epoch(), "-", ring_.head() + 1));
  if (!event.has_time()) SetTimestamp(*event.mutable_time(), std::chrono::system_clock::now());
  Bound(event);
  ring_.Append(std::make_shared<const v1::Event>(std::move(event)));
}

void EventLog::Post(v1::Event event) {
  SetTimestamp(*event.mutable_time(), std::chrono::system_clock::now());
  Bound(event);
  main_.Post([this, event = std::move(event)]() mutable { Add(std::move(event)); });
}

RingSource<v1::Event, EventLog::Entry> EventLog::source() {
  return {.ring = &ring_,
          .convert = [](const Entry& entry) { return *entry; },
          .synced = [] { return Mark(v1::Event::SYNCED); },
          .bookmark = [] { return Mark(v1::Event::BOOKMARK); }};
}

}  // namespace kinsock
