// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_FLOW_JOURNAL_H_
#define KINSOCK_ROUTER_FLOW_JOURNAL_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "base/clock.h"
#include "base/counter.h"
#include "base/event_loop.h"
#include "router/flow_durations.h"
#include "router/flow_info.h"
#include "router/pair_table.h"

namespace kinsock {

// The connections that began on one reactor: it numbers them, and remembers for a while those that have ended.
//
//     any thread:  Flow::Close() --> Closed() --> handed over, without a lock
//     the reactor:                                    '--> Take() --> closed_, by age
//
// A connection costs an allocation and a message when it ends, and nothing before. Whoever ends it may hold the lock of
// a receive side, and may be another reactor: so it only hands over.
//
// Thread: the reactor's, but for Closed(). Outlives all flows that it numbered, as far as they are still to be closed.
class FlowJournal {
 public:
  // How long a connection that has ended can be listed.
  static constexpr std::chrono::seconds kKeep{60};
  // Ended connections that are remembered, some 300 bytes each: enough for what a person looks for, and copied in well
  // under a millisecond. Beyond: the oldest is forgotten, and counted.
  static constexpr size_t kMaxClosed = 4096;
  // The same for those that one VM has begun: a guest that calls and hangs up without end must not push those of others
  // out.
  static constexpr size_t kMaxClosedOfOne = 512;
  // Handed over and not taken yet: what the reactors can end in a round, with a thousand connections for each VM that
  // goes. Beyond: forgotten, and counted.
  static constexpr size_t kMaxUntaken = 8192;

  // `reactor`: tells its numbers apart from those of others. `loop` outlives this.
  FlowJournal(EventLoop& loop, uint16_t reactor, const Clock& clock = Clock::Monotonic());
  ~FlowJournal();
  FlowJournal(const FlowJournal&) = delete;
  FlowJournal& operator=(const FlowJournal&) = delete;

  // Numbers for connections, unique in the process.
  uint64_t NextId() { return next_id_++; }
  // The reactor that has given out `id`.
  static size_t ReactorOf(uint64_t id) { return static_cast<size_t>(id >> 48); }

  // A connection has ended. Any thread.
  void Closed(const FlowInfo& info);
  // A request was refused before it became a flow: taken over at once, and never forgotten untaken. `denied_by`: the
  // policy that did, if one did.
  void Refused(const FlowInfo::End& initiator, const FlowInfo::End& target, uint16_t type, CloseReason reason,
               std::shared_ptr<const Policy> denied_by = nullptr);
  // A request became a flow because of a policy that wants it told (`info.decided_by`).
  void Logged(const FlowInfo& info) const {
    if (on_logged_ != nullptr) on_logged_(info);
  }

  // Adds those that ended within kKeep, oldest first.
  void Describe(std::vector<FlowInfo>& flows);
  // Null: it has not ended, or is forgotten. Valid until the next call.
  const FlowInfo* Find(uint64_t id);

  // The sums of all that have ended, by pair; those that were forgotten untaken (kMaxUntaken) are missing.
  const PairTable& pairs() const { return pairs_; }
  // Takes over what has been handed over until now.
  void Take();
  // Until StopNoting(), the ids of those that are taken over go into `ended`, too.
  void Note(absl::flat_hash_set<uint64_t>& ended) { noting_.push_back(&ended); }
  void StopNoting(absl::flat_hash_set<uint64_t>& ended) { std::erase(noting_, &ended); }

  // Called with each that Take() takes over.
  void set_on_closed(std::function<void(const FlowInfo&)> on_closed) { on_closed_ = std::move(on_closed); }

  // Called with each that is Logged().
  void set_on_logged(std::function<void(const FlowInfo&)> on_logged) { on_logged_ = std::move(on_logged); }
  // How long those that began here took. Any thread.
  FlowDurations& durations() { return durations_; }
  const FlowDurations& durations() const { return durations_; }

  // Those that were forgotten before their time. Any thread.
  uint64_t forgotten() const { return forgotten_.value(); }

 private:
  struct Entry {
    FlowInfo info;
    MonotonicTime forget_at;
    Entry* next = nullptr;  // in untaken_
  };
  using Age = std::list<std::unique_ptr<Entry>>;  // oldest first

  void TakeOver(std::unique_ptr<Entry> entry);
  void Remember(std::unique_ptr<Entry> entry);
  void ForgetOldest();
  void ForgetOldestOf(uint64_t device);
  void ForgetExpired();

  const Clock& clock_;
  uint64_t next_id_;
  std::atomic<Entry*> untaken_{nullptr};  // newest first
  std::atomic<size_t> untaken_count_{0};
  std::shared_ptr<Wakeup> take_;
  Age closed_;
  std::function<void(const FlowInfo&)> on_closed_;
  std::function<void(const FlowInfo&)> on_logged_;
  PairTable pairs_;
  absl::flat_hash_map<uint64_t, std::deque<Age::iterator>> of_device_;  // by the initiator's; oldest first
  std::vector<absl::flat_hash_set<uint64_t>*> noting_;
  SharedCounter forgotten_;
  FlowDurations durations_;
};

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_FLOW_JOURNAL_H_
